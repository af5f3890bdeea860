//! Listing a bucket to its end, whatever its keys and its server's pages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::source::encoding::{decode, encode_query};

/// How a server pages.
#[derive(Clone, Copy, Default)]
struct Manners {
    /// Every second answer has nothing but a token, as after many deleted versions.
    empty_pages: bool,
    /// `start-after` within a rolled-up prefix shows that prefix again.
    repeats_prefixes: bool,
    /// No continuation tokens.
    no_tokens: bool,
    /// `start-after` is ignored.
    ignores_start: bool,
}

/// What ListObjectsV2 answers over these keys.
fn page(keys: &BTreeSet<String>, asked: &Asked, manners: Manners, turn: u64) -> Response<String> {
    let query = asked.query();
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    let max: usize = get("max-keys").parse().unwrap();
    let token = get("continuation-token");
    let start = match (token.split_once('|'), manners.ignores_start) {
        (Some((_, last)), _) => decode(last, false).unwrap(),
        (None, true) => String::new(),
        (None, false) => get("start-after").to_owned(),
    };
    let (prefix, roll) = (get("prefix"), get("delimiter") == "/");
    let mut entries: Vec<(String, bool)> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = key.strip_prefix(prefix).unwrap();
        let rolled = rest.find('/').filter(|_| roll).map(|at| {
            let end = prefix.len() + at + 1;
            key.get(..end).unwrap().to_owned()
        });
        let shown = rolled.clone().unwrap_or_else(|| key.clone());
        let compared = if manners.repeats_prefixes && token.is_empty() {
            key
        } else {
            &shown
        };
        if *compared <= start || entries.last().is_some_and(|(last, _)| *last == shown) {
            continue;
        }
        entries.push((shown, rolled.is_some()));
    }
    let empty = manners.empty_pages && turn.is_multiple_of(2);
    let shown = if empty {
        &[]
    } else {
        entries.get(..max.min(entries.len())).unwrap()
    };
    let truncated = shown.len() < entries.len();
    let last = shown.last().map_or(start.clone(), |(last, _)| last.clone());
    let mut body =
        format!("<IsTruncated>{truncated}</IsTruncated><EncodingType>url</EncodingType>");
    if truncated && !manners.no_tokens {
        body += &format!(
            "<NextContinuationToken>T{turn}|{}</NextContinuationToken>",
            encode_query(&last)
        );
    }
    for (key, _) in shown.iter().filter(|(_, rolled)| !rolled) {
        let key = encode_query(key);
        body += &format!(
            "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
             <Size>1</Size></Contents>"
        );
    }
    for (prefix, _) in shown.iter().filter(|(_, rolled)| *rolled) {
        let prefix = encode_query(prefix);
        body += &format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
    }
    answer(
        200,
        &[],
        &format!("<ListBucketResult>{body}</ListBucketResult>"),
    )
}

async fn serve(keys: &BTreeSet<String>, manners: Manners) -> Server {
    let keys = Arc::new(keys.clone());
    let turns = AtomicU64::new(0);
    Server::start(move |asked| {
        assert_eq!(asked.path(), "/bkt");
        assert_eq!(
            asked.header("x-amz-optional-object-attributes"),
            "RestoreStatus"
        );
        page(&keys, asked, manners, turns.fetch_add(1, Ordering::SeqCst))
    })
    .await
}

/// Lists to the end, each page through a client of its own.
async fn list(server: &Server, prefix: &str, delimiter: bool, max_keys: u16) -> Vec<String> {
    let mut keys = Vec::new();
    let mut onward = Onward::default();
    loop {
        let request = ListRequest {
            prefix,
            after: onward.after.as_deref(),
            cursor: onward.cursor.as_ref(),
            delimiter,
            max_keys,
        };
        let page = source(&server.url)
            .list_page(&bucket(), &request)
            .await
            .unwrap();
        assert!(page.objects.len() <= usize::from(max_keys));
        keys.extend(page.objects.into_iter().map(|object| object.key));
        match page.next {
            Some(next) => onward = next,
            None => return keys,
        }
    }
}

fn keys() -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = [
        " lead",
        "a",
        "a b",
        "a+b",
        "a%2Fb",
        "a&b=c",
        "dir",
        "dir/",
        "dir/a",
        "dir/b/c",
        "dir0",
        "dir/\u{10FFFF}",
        "dir/\u{10FFFF}x",
        "é/ü",
        "\u{FFFD}",
        "😀/x",
        "😀",
        "/",
        "//",
        "/x",
        "line\nbreak",
        "\u{1}",
        "x/y/z",
        "trail ",
        "z",
    ]
    .map(str::to_owned)
    .into();
    keys.extend((0..30).map(|number| format!("many/{number:02}")));
    keys
}

#[tokio::test]
async fn every_key_is_listed_once_whatever_the_page_size() {
    let keys = keys();
    for manners in [
        Manners::default(),
        Manners {
            empty_pages: true,
            ..Manners::default()
        },
        Manners {
            no_tokens: true,
            ..Manners::default()
        },
    ] {
        let server = serve(&keys, manners).await;
        for max_keys in [1, 2, 7, 1000] {
            let all: Vec<_> = keys.iter().cloned().collect();
            assert_eq!(list(&server, "", false, max_keys).await, all);
            let some: Vec<_> = keys
                .iter()
                .filter(|key| key.starts_with("dir/"))
                .cloned()
                .collect();
            assert_eq!(list(&server, "dir/", false, max_keys).await, some);
        }
    }
}

#[tokio::test]
async fn only_the_top_level_is_listed_with_a_delimiter() {
    let keys = keys();
    let top = |prefix: &str| -> Vec<String> {
        let within = |key: &&String| {
            key.strip_prefix(prefix)
                .is_some_and(|rest| !rest.contains('/'))
        };
        keys.iter().filter(within).cloned().collect()
    };
    for manners in [
        Manners::default(),
        Manners {
            repeats_prefixes: true,
            ..Manners::default()
        },
        Manners {
            empty_pages: true,
            repeats_prefixes: true,
            ..Manners::default()
        },
    ] {
        let server = serve(&keys, manners).await;
        for max_keys in [1, 3, 1000] {
            assert_eq!(list(&server, "", true, max_keys).await, top(""));
            assert_eq!(list(&server, "dir/", true, max_keys).await, top("dir/"));
        }
    }
}

#[tokio::test]
async fn a_rolled_up_prefix_is_left_behind_without_a_token() {
    let mut keys = keys();
    keys.retain(|key| !key.contains('\u{10FFFF}'));
    let manners = Manners {
        repeats_prefixes: true,
        no_tokens: true,
        ..Manners::default()
    };
    let server = serve(&keys, manners).await;
    let top: Vec<_> = keys
        .iter()
        .filter(|key| !key.contains('/'))
        .cloned()
        .collect();
    for max_keys in [1, 3] {
        assert_eq!(list(&server, "", true, max_keys).await, top);
    }
}

#[tokio::test]
async fn a_server_that_ignores_where_to_start_is_refused() {
    let manners = Manners {
        ignores_start: true,
        ..Manners::default()
    };
    let server = serve(&keys(), manners).await;
    let request = ListRequest {
        after: Some("dir"),
        max_keys: 5,
        ..ListRequest::default()
    };
    let failure = source(&server.url)
        .list_page(&bucket(), &request)
        .await
        .unwrap_err();
    assert!(failure.message.contains("start-after"), "{failure}");
}

#[tokio::test]
async fn a_listing_that_goes_nowhere_is_refused() {
    let manners = Manners {
        empty_pages: true,
        no_tokens: true,
        ..Manners::default()
    };
    let server = serve(&keys(), manners).await;
    let request = ListRequest {
        max_keys: 5,
        ..ListRequest::default()
    };
    let failure = source(&server.url)
        .list_page(&bucket(), &request)
        .await
        .unwrap_err();
    assert_eq!(failure.reason, Reason::SourceRejected);
    assert!(failure.message.contains("repeats a page"), "{failure}");
}
