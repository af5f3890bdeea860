//! The XML of Put Block List.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::refusal::Refusal;

const MOST_BLOCKS: usize = 50_000;

/// Where a block is to be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Latest,
    Committed,
    Uncommitted,
}

/// One line of a block list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) wanted: Wanted,
    pub(crate) id: Box<[u8]>,
}

/// Reads the list.
pub(crate) fn parse(xml: &[u8]) -> Result<Vec<Entry>, Refusal> {
    let invalid = || {
        let message = "XML specified is not syntactically valid.";
        Refusal::new(400, "InvalidXmlDocument", message)
    };
    let text = str::from_utf8(xml).map_err(|_| invalid())?;
    let mut reader = Reader::from_str(text);
    let (mut entries, mut wanted, mut inside) = (Vec::new(), None, false);
    let mut id = String::new();
    loop {
        match reader.read_event().map_err(|_| invalid())? {
            Event::Start(tag) => match tag.name().as_ref() {
                "BlockList" if !inside => inside = true,
                name if inside && wanted.is_none() => {
                    wanted = Some(kind(name).ok_or_else(invalid)?);
                }
                _ => return Err(invalid()),
            },
            Event::Empty(tag) if tag.name().as_ref() == "BlockList" => inside = true,
            Event::Text(text) if wanted.is_some() => {
                id.push_str(&text);
            }
            Event::End(_) => {
                if let Some(wanted) = wanted.take() {
                    entries.push(entry(wanted, &std::mem::take(&mut id))?);
                }
            }
            Event::Eof => break,
            Event::Empty(_) | Event::GeneralRef(_) => return Err(invalid()),
            _ => {}
        }
    }
    if !inside {
        return Err(invalid());
    }
    if entries.len() > MOST_BLOCKS {
        let message = "The block list may not contain more than 50,000 blocks.";
        return Err(Refusal::new(400, "BlockListTooLong", message));
    }
    Ok(entries)
}

fn kind(name: &str) -> Option<Wanted> {
    match name {
        "Latest" => Some(Wanted::Latest),
        "Committed" => Some(Wanted::Committed),
        "Uncommitted" => Some(Wanted::Uncommitted),
        _ => None,
    }
}

fn entry(wanted: Wanted, id: &str) -> Result<Entry, Refusal> {
    let id = STANDARD.decode(id.trim()).map_err(|_| {
        let message = "The specified block list is invalid.";
        Refusal::new(400, "InvalidBlockList", message)
    })?;
    Ok(Entry {
        wanted,
        id: id.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_order() {
        let xml = b"<?xml version=\"1.0\"?>\n<BlockList>\n <Latest>YQ==</Latest><Committed>Yg==\
                    </Committed><Uncommitted>YQ==</Uncommitted></BlockList>";
        let entries = parse(xml).unwrap();
        let ids: Vec<_> = entries.iter().map(|e| (e.wanted, &*e.id)).collect();
        assert_eq!(
            ids,
            [
                (Wanted::Latest, &b"a"[..]),
                (Wanted::Committed, b"b"),
                (Wanted::Uncommitted, b"a")
            ]
        );
        assert_eq!(parse(b"<BlockList></BlockList>").unwrap(), []);
        assert_eq!(parse(b"<BlockList/>").unwrap(), []);
    }

    #[test]
    fn wrong_lists_are_refused() {
        let code = |xml: &[u8]| parse(xml).unwrap_err().code;
        assert_eq!(code(b""), "InvalidXmlDocument");
        assert_eq!(
            code(b"<BlockList><Best>YQ==</Best></BlockList>"),
            "InvalidXmlDocument"
        );
        assert_eq!(
            code(b"<BlockList><Latest>!</Latest></BlockList>"),
            "InvalidBlockList"
        );
        let long = "<Latest>YQ==</Latest>".repeat(50_001);
        let long = format!("<BlockList>{long}</BlockList>");
        assert_eq!(code(long.as_bytes()), "BlockListTooLong");
    }
}
