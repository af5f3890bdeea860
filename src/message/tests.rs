//! Who reads what of whom.

use super::codec::LAST_VERSION;
use super::*;

/// Fields that came later are read as absent from what an older program wrote.
#[test]
fn yesterdays_messages_are_read() {
    #[derive(Serialize)]
    struct Object {
        key: &'static str,
        size: u64,
        etag: Option<String>,
        modified: i64,
        version: Option<String>,
    }
    #[derive(Serialize)]
    enum Old {
        Skipped { reason: &'static str },
    }
    let object = Object {
        key: "k",
        size: 1,
        etag: None,
        modified: 2,
        version: None,
    };
    let read: ListedObject = decode(&encode(&object).unwrap()).unwrap();
    assert_eq!((read.key.as_str(), read.storage_class), ("k", None));
    let skipped = Old::Skipped {
        reason: "folder_marker",
    };
    let read: Ending = decode(&encode(&skipped).unwrap()).unwrap();
    let wanted = Ending::Skipped {
        reason: "folder_marker".to_owned(),
        message: String::new(),
    };
    assert_eq!(read, wanted);
}

#[test]
fn what_cannot_be_read_is_newer_or_nobodys() {
    let mut newer = encode(&"text").unwrap().to_vec();
    for (version, reason) in [
        (0, Reason::Undecodable),
        (VERSION + 1, Reason::NewerVersion),
        (LAST_VERSION, Reason::NewerVersion),
        (b' ', Reason::Undecodable),
        (b'{', Reason::Undecodable),
        (0xff, Reason::Undecodable),
    ] {
        newer[0] = version;
        let failure = decode::<String>(&newer).unwrap_err();
        assert_eq!(failure.reason, reason, "{version}");
    }
    for body in [&b""[..], b"\x01", b"\x01\xc1", b"\x01\x01"] {
        let failure = decode::<String>(body).unwrap_err();
        assert_eq!(failure.reason, Reason::Undecodable, "{body:?}");
    }
}

/// An older reader must not take for the whole what is a part, nor for ended what goes on.
#[test]
fn what_an_older_reader_would_misunderstand_has_a_newer_version() {
    let task = ListTask {
        job: JobId::new("j-1"),
        id: 1,
        root: 0,
        range: KeyRange::default(),
        round: 1,
        only: Vec::new(),
        without: Vec::new(),
    };
    let key = || vec!["k".to_owned()];
    let only = ListTask {
        only: key(),
        ..task.clone()
    };
    let without = ListTask {
        without: key(),
        ..task.clone()
    };
    for (task, version) in [(&task, 1), (&only, 2), (&without, 2)] {
        let message = task.message().unwrap();
        assert_eq!(message.body[0], version);
        assert_eq!(message.decode::<ListTask>().unwrap(), *task);
    }
    let job = JobId::new("j-1");
    let listed = JobEvent::Listed {
        job: job.clone(),
        round: 1,
    };
    let reopened = JobEvent::Reopened { job, round: 1 };
    for (event, version) in [(listed, 1), (reopened, 2)] {
        let message = event.message(None).unwrap();
        assert_eq!(message.body[0], version);
        assert_eq!(message.decode::<JobEvent>().unwrap(), event);
    }
}
