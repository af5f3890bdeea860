//! Index tags: of a header, of Set Blob Tags, and given back by Get Blob Tags.

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::receive;
use super::request::{Request, invalid_header, text};
use super::store::not_found;
use super::write::set;
use crate::body::Body;
use crate::conditions::Conditions;
use crate::lock;
use crate::query::Query;
use crate::refusal::{Refusal, element};
use crate::state::State;

/// Limits of "Set Blob Tags": number of tags, characters of keys and values, bytes of the header.
const MOST: usize = 10;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;
const LONGEST_HEADER: usize = 2048;
/// Ten tags of the longest kind in their elements, and room to spare.
const LONGEST_DOCUMENT: usize = 16 << 10;

/// Keys and values, in the order of keys.
pub(crate) type Tags = Vec<(String, String)>;

/// The tags of `x-ms-tags`, written like a query; none where there is no such header.
pub(crate) fn of_header(headers: &HeaderMap) -> Result<Tags, Refusal> {
    let Some(value) = text(headers, "x-ms-tags") else {
        return Ok(Tags::new());
    };
    if value.len() > LONGEST_HEADER {
        return Err(too_large());
    }
    let complete = value.split('&').all(|pair| pair.contains('='));
    let query = Query::parse(value).filter(|_| complete);
    let query = query.ok_or_else(|| invalid_header("x-ms-tags", value))?;
    let pairs = query.iter();
    check(
        pairs
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
    )
}

fn check(mut tags: Tags) -> Result<Tags, Refusal> {
    if tags.len() > MOST {
        return Err(too_large());
    }
    for (key, value) in &tags {
        if key.is_empty() {
            let message = "The name of one of the tag key-value pairs is empty.";
            return Err(Refusal::new(400, "EmptyTagName", message));
        }
        if key.chars().count() > LONGEST_KEY || value.chars().count() > LONGEST_VALUE {
            return Err(too_large());
        }
        if !key.chars().chain(value.chars()).all(is_allowed) {
            // The name of this code is a guess; the reference pages have none.
            let message =
                "The tags specified are invalid. It contains characters that are not permitted.";
            return Err(Refusal::new(400, "InvalidTag", message));
        }
    }
    tags.sort();
    if tags.windows(2).any(|two| two[0].0 == two[1].0) {
        let message = "The tags specified contain duplicate names.";
        return Err(Refusal::new(400, "DuplicateTagNames", message));
    }
    Ok(tags)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || " +-./:=_".contains(c)
}

fn too_large() -> Refusal {
    let message = "The tags specified exceed the maximum permissible limit.";
    Refusal::new(400, "TagsTooLarge", message)
}

/// Get Blob Tags.
pub(crate) fn get(state: &State, request: &Request) -> Result<Response<Body>, Refusal> {
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    let blob = container.committed(&request.name)?;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><Tags>");
    push_set(&mut xml, &blob.tags);
    xml.push_str("</Tags>");
    let mut response = Response::new(Body::text(xml));
    set(&mut response, "content-type", "application/xml");
    Ok(response)
}

/// Appends the element that holds tags.
pub(crate) fn push_set(xml: &mut String, tags: &Tags) {
    xml.push_str("<TagSet>");
    for (key, value) in tags {
        xml.push_str("<Tag>");
        element(xml, "Key", key);
        element(xml, "Value", value);
        xml.push_str("</Tag>");
    }
    xml.push_str("</TagSet>");
}

/// Set Blob Tags: all of them are replaced; ETag and Last-Modified stay.
pub(crate) async fn replace(
    state: &State,
    request: &Request,
    parts: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let conditions = Conditions::read(&parts.headers);
    let xml = receive::document(&parts.headers, body, LONGEST_DOCUMENT).await?;
    let tags = check(parse(&xml)?)?;
    let mut store = lock(&state.blob);
    let container = store.container(&request.account, &request.container)?;
    container.committed(&request.name)?;
    container.may_write(&request.name, &conditions, true)?;
    let blob = container.blobs.get_mut(&request.name);
    let blob = blob.and_then(|blob| blob.committed.as_deref_mut());
    blob.ok_or_else(not_found)?.tags = tags;
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn parse(xml: &[u8]) -> Result<Tags, Refusal> {
    let invalid = || {
        let message = "XML specified is not syntactically valid.";
        Refusal::new(400, "InvalidXmlDocument", message)
    };
    let mut reader = Reader::from_str(str::from_utf8(xml).map_err(|_| invalid())?);
    let (mut tags, mut path, mut seen) = (Tags::new(), Vec::new(), false);
    loop {
        match reader.read_event().map_err(|_| invalid())? {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                seen |= open(&path, &mut tags).ok_or_else(invalid)?;
            }
            Event::Empty(tag) => {
                path.push(tag.name().as_ref().to_owned());
                seen |= open(&path, &mut tags).ok_or_else(invalid)?;
                path.pop();
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => push(&path, &mut tags, &text),
            Event::GeneralRef(name) => {
                let text = match name.resolve_char_ref() {
                    Ok(Some(character)) => character.to_string(),
                    _ => resolve_predefined_entity(&name).ok_or_else(invalid)?.into(),
                };
                push(&path, &mut tags, &text);
            }
            Event::Eof if seen && path.is_empty() => return Ok(tags),
            Event::Eof => return Err(invalid()),
            _ => {}
        }
    }
}

/// Enters an element: whether it is the set; `None` where it does not belong.
fn open(path: &[String], tags: &mut Tags) -> Option<bool> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path[..] {
        ["Tags"] => Some(false),
        ["Tags", "TagSet"] => Some(true),
        ["Tags", "TagSet", "Tag"] => {
            tags.push((String::new(), String::new()));
            Some(false)
        }
        ["Tags", "TagSet", "Tag", "Key" | "Value"] => Some(false),
        _ => None,
    }
}

/// Text of a key or a value; other text is white space between elements.
fn push(path: &[String], tags: &mut Tags, text: &str) {
    let Some((key, value)) = tags.last_mut() else {
        return;
    };
    match path.last().map(String::as_str) {
        Some("Key") => key.push_str(text),
        Some("Value") => value.push_str(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(value: &str) -> Result<Tags, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-tags", value.parse().unwrap());
        of_header(&headers).map_err(|refusal| refusal.code.into_owned())
    }

    #[test]
    fn headers_are_read_like_queries() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            header("b=1&a+x%2B=%3D%2f").unwrap(),
            [pair("a x+", "=/"), pair("b", "1")]
        );
        assert_eq!(header("a=").unwrap(), [pair("a", "")]);
    }

    #[test]
    fn documents_are_read() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let xml = b"<?xml version=\"1.0\"?>\n<Tags>\n <TagSet><Tag><Key>a</Key><Value>x y</Value>\
                    </Tag>\n<Tag><Key>b</Key><Value/></Tag></TagSet></Tags>";
        assert_eq!(parse(xml).unwrap(), [pair("a", "x y"), pair("b", "")]);
        assert_eq!(parse(b"<Tags><TagSet/></Tags>").unwrap(), []);
        for wrong in [
            "",
            "<Tags/>",
            "<Tags><TagSet>",
            "<Tags><TagSet><Pair/></TagSet></Tags>",
        ] {
            let code = parse(wrong.as_bytes()).unwrap_err().code;
            assert_eq!(code, "InvalidXmlDocument", "{wrong}");
        }
    }
}
