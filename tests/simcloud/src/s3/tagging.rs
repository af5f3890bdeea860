//! GetObjectTagging.

use hyper::Response;

use super::object::set;
use super::store::Stored;
use super::xml_reply;
use crate::body::Body;
use crate::refusal::element;

/// The tags of an object; an empty set where it has none.
pub(crate) fn read(object: &Stored) -> Response<Body> {
    let mut xml = String::from("<TagSet>");
    for (key, value) in object.extra().into_iter().flat_map(|extra| &extra.tags) {
        xml.push_str("<Tag>");
        element(&mut xml, "Key", key);
        element(&mut xml, "Value", value);
        xml.push_str("</Tag>");
    }
    xml.push_str("</TagSet>");
    let mut response = xml_reply("Tagging", &xml);
    if let Some(version) = object.version() {
        set(response.headers_mut(), "x-amz-version-id", version);
    }
    response
}
