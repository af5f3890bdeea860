//! The XML of block lists.

use std::fmt::Write;

use quick_xml::escape::escape;
use serde::Deserialize;

use super::types::BlockList;

/// The body of Put Block List: the latest block of each id.
pub(super) fn write(ids: &[String]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for id in ids {
        let id = escape(id.as_str());
        // Writing to a String cannot fail.
        if write!(xml, "<Latest>{id}</Latest>").is_err() {
            break;
        }
    }
    xml.push_str("</BlockList>");
    xml
}

/// The body of Get Block List; the error says what is wrong with it.
pub(super) fn read(body: &[u8], etag: Option<String>) -> Result<BlockList, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    let lists: Lists = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
    let committed = lists.committed.into_pairs();
    Ok(BlockList {
        // Emulators give an ETag even where nothing is committed; it fits no condition.
        etag: etag.filter(|_| !committed.is_empty()),
        committed,
        uncommitted: lists.uncommitted.into_pairs(),
        ..BlockList::default()
    })
}

#[derive(Deserialize)]
struct Lists {
    #[serde(rename = "CommittedBlocks", default)]
    committed: Blocks,
    #[serde(rename = "UncommittedBlocks", default)]
    uncommitted: Blocks,
}

#[derive(Default, Deserialize)]
struct Blocks {
    #[serde(rename = "Block", default)]
    blocks: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Size")]
    size: u64,
}

impl Blocks {
    fn into_pairs(self) -> Vec<(String, u64)> {
        let blocks = self.blocks.into_iter();
        blocks.map(|block| (block.name, block.size)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_order() {
        assert_eq!(
            write(&["AAA=".into(), "B+/=".into(), "AAA=".into()]),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>AAA=</Latest>\
             <Latest>B+/=</Latest><Latest>AAA=</Latest></BlockList>"
        );
    }

    #[test]
    fn both_lists_are_read() {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\
                   <CommittedBlocks><Block><Name>AAA=</Name><Size>5</Size></Block>\
                   <Block><Name>BBB=</Name><Size>4194304000</Size></Block></CommittedBlocks>\
                   <UncommittedBlocks><Block><Name>CCC=</Name><Size>0</Size></Block>\
                   </UncommittedBlocks></BlockList>";
        let list = read(xml.as_bytes(), Some("\"0x1\"".into())).unwrap();
        assert_eq!(
            list.committed,
            [("AAA=".into(), 5), ("BBB=".into(), 4_194_304_000)]
        );
        assert_eq!(list.uncommitted, [("CCC=".into(), 0)]);
        assert_eq!(list.etag.as_deref(), Some("\"0x1\""));
    }

    #[test]
    fn an_empty_or_absent_list_is_empty() {
        for xml in [
            "<BlockList/>",
            "<BlockList><CommittedBlocks /><UncommittedBlocks /></BlockList>",
            "<BlockList><CommittedBlocks/></BlockList>",
        ] {
            assert_eq!(read(xml.as_bytes(), None).unwrap(), BlockList::default());
        }
        let staged = "<BlockList><UncommittedBlocks><Block><Name>A</Name><Size>1</Size></Block>\
                      </UncommittedBlocks></BlockList>";
        let list = read(staged.as_bytes(), Some("\"0x1\"".into())).unwrap();
        assert_eq!(list.etag, None);
        assert!(read(b"<html>", None).is_err());
        assert!(read(b"\xff", None).is_err());
    }
}
