//! Objects that each play one case: what of them lies at the destination, who writes there and
//! when, and what must come of it.

use std::time::{Duration, SystemTime};

use simcloud::{Content, Object};

/// What `--overwrite` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    True,
    False,
    IfSourceNewer,
    Changed,
    /// Somebody is asked, whose answer is this for all blobs.
    Prompt(bool),
}

impl Rule {
    /// No blob is ever replaced.
    pub(super) fn replaces_none(self) -> bool {
        matches!(self, Self::False | Self::Prompt(false))
    }
}

/// What of an object tells its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ETag that is its MD5.
    Digest,
    /// An ETag that is none; it goes as a whole or as one block.
    Plain,
    /// The same, of a size that goes in several blocks.
    Blocks,
}

/// When a blob of the object's name is written by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// An hour and more before the object was last written, and before the job.
    LongBefore,
    /// In the seconds before the job.
    JustBefore,
    /// After the job was submitted, before a copier looks.
    Since,
    /// After a copier has looked, before its write arrives.
    BeforeTheWrite,
    /// After the job's own write, whose answer was lost.
    AfterALostAnswer,
    /// The same, and still in the second in which the job was submitted.
    BeforeTheWriteAtOnce,
    /// Long before, and again before the write arrives.
    TwiceBeforeTheWrite,
}

/// What somebody else writes; always of the object's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Other bytes.
    Other,
    /// The object's bytes, by another program.
    Equal,
    /// The object's bytes, by another job of this program with the same flags.
    Copy,
}

/// What happens to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// There is no blob, and nobody comes.
    Alone,
    /// The same, and the answer to the job's write is lost.
    LostAnswer,
    /// Somebody else writes the blob.
    Written(What, When),
}

/// Every case.
const CASES: [Case; 16] = {
    use Case::{Alone, LostAnswer, Written};
    use What::{Copy, Equal, Other};
    use When::{
        AfterALostAnswer, BeforeTheWrite, BeforeTheWriteAtOnce, JustBefore, LongBefore, Since,
        TwiceBeforeTheWrite,
    };
    [
        Alone,
        LostAnswer,
        Written(Other, LongBefore),
        Written(Equal, LongBefore),
        Written(Copy, LongBefore),
        Written(Other, JustBefore),
        Written(Equal, JustBefore),
        Written(Copy, JustBefore),
        Written(Other, Since),
        Written(Equal, Since),
        Written(Copy, Since),
        Written(Other, BeforeTheWrite),
        Written(Equal, BeforeTheWrite),
        Written(Other, BeforeTheWriteAtOnce),
        Written(Other, AfterALostAnswer),
        Written(Other, TwiceBeforeTheWrite),
    ]
};

/// How a job goes about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) rule: Rule,
    /// The source's ETag is kept with the blobs.
    pub(super) etag: bool,
    /// The content comes through the copier.
    pub(super) relay: bool,
    /// The destination tells its time.
    pub(super) clock: bool,
    /// All blobs are in tier Archive, the job's and others'.
    pub(super) archive: bool,
}

/// What must come of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Copied, by a write of the job's own that comes after all that was there.
    Written,
    /// Copied: the object's bytes are there, and may be this job's own. Where blobs are replaced in
    /// any case, they may be written again.
    Copied,
    /// Skipped for this reason, and what was there is untouched.
    Left(&'static str),
    /// Failed, as what was there cannot be written over.
    Archived,
}

/// One object and its case.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) case: Case,
    seed: u64,
}

/// Every case with every kind of object, alike wherever it is asked for.
pub(super) fn cells() -> Vec<Cell> {
    let kinds = [Kind::Digest, Kind::Plain, Kind::Blocks];
    let pairs = CASES
        .into_iter()
        .flat_map(|case| kinds.map(|kind| (kind, case)));
    pairs
        .zip(1..)
        .map(|((kind, case), seed)| Cell {
            key: format!("{seed:02}-{kind:?}-{case:?}").replace(['(', ')', ' '], ""),
            kind,
            case,
            seed,
        })
        .collect()
}

impl Cell {
    /// What the object holds.
    pub(super) fn content(&self) -> Content {
        self.bytes(self.seed)
    }

    /// What somebody else has of the same size.
    pub(super) fn other(&self) -> Content {
        self.bytes(self.seed + 1000)
    }

    fn bytes(&self, seed: u64) -> Content {
        let length = match self.kind {
            Kind::Blocks => 100_000 + self.seed,
            Kind::Digest | Kind::Plain => 100 + self.seed,
        };
        Content::Generated { seed, length }
    }

    /// The object, last written at `modified`.
    pub(super) fn object(&self, modified: SystemTime) -> Object {
        let object = Object::bytes(self.content().read(0, usize::MAX)).modified(modified);
        match self.kind {
            Kind::Digest => object,
            Kind::Plain | Kind::Blocks => object.etag(&format!("{:032x}-3", self.seed)),
        }
    }

    /// How often the blob is written before the job decides: by others, and by the job itself where
    /// the answer is lost.
    pub(super) fn writes_before(&self, terms: Terms) -> u32 {
        match self.case {
            Case::Alone => 0,
            Case::LostAnswer => 1,
            Case::Written(_, When::AfterALostAnswer) => 2,
            // Nobody writes where nothing is written over the first.
            Case::Written(_, When::TwiceBeforeTheWrite) if !terms.rule.replaces_none() => 2,
            Case::Written(..) => 1,
        }
    }

    /// What lies there where it is left.
    pub(super) fn left(&self) -> Content {
        match self.case {
            Case::Written(What::Other, _) => self.other(),
            _ => self.content(),
        }
    }

    /// What must come of the object.
    pub(super) fn expected(&self, terms: Terms) -> Expected {
        let (what, when) = match self.case {
            Case::Alone => return Expected::Written,
            // It stands there as if written by another job, but since this one was submitted.
            Case::LostAnswer => (What::Copy, When::AfterALostAnswer),
            Case::Written(what, when) => (what, when),
        };
        let found = Found::by_then(when, terms.rule);
        let told = self.told(what, terms);
        let proved = told == Some(true) || self.has_our_blocks(what, terms);
        if proved && found == Found::Young && terms.clock {
            return Expected::Copied;
        }
        match by_rule(terms.rule, told, found == Found::Old) {
            Expected::Written if terms.archive => Expected::Archived,
            expected => expected,
        }
    }

    /// Must a skip or failure say that the blob may be the job's own?
    pub(super) fn may_be_ours(&self, terms: Terms) -> bool {
        let Case::Written(_, when) = self.case else {
            return true;
        };
        !terms.clock || Found::by_then(when, terms.rule) == Found::Young
    }

    /// Is the blob's content the object's, as far as its properties tell?
    fn told(&self, what: What, terms: Terms) -> Option<bool> {
        match (self.kind, what) {
            (_, What::Copy) if terms.etag => Some(true),
            (Kind::Digest, _) => Some(what != What::Other),
            (Kind::Plain | Kind::Blocks, _) => None,
        }
    }

    /// Do the ids of the blob's blocks name the object?
    fn has_our_blocks(&self, what: What, terms: Terms) -> bool {
        let in_blocks = match self.kind {
            Kind::Digest => false,
            // Where blobs are replaced in any case, nobody has to know them again; and what comes
            // through the copier goes as a whole.
            Kind::Plain => {
                let through = terms.relay && self.case == Case::LostAnswer;
                !through && terms.rule != Rule::True
            }
            Kind::Blocks => true,
        };
        what == What::Copy && in_blocks
    }
}

/// What the rule says of a blob that is not known as the job's own.
fn by_rule(rule: Rule, told: Option<bool>, newer: bool) -> Expected {
    match (rule, told) {
        (Rule::True | Rule::Prompt(true), _) => Expected::Written,
        (Rule::False | Rule::Prompt(false), _) => Expected::Left("destination_exists"),
        (Rule::IfSourceNewer, _) if newer => Expected::Written,
        (Rule::IfSourceNewer, _) => Expected::Left("destination_newer"),
        (Rule::Changed, Some(true)) => Expected::Left("unchanged"),
        (Rule::Changed, None) if !newer => Expected::Left("unchanged"),
        (Rule::Changed, _) => Expected::Written,
    }
}

/// How old the blob is that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Older than the object.
    Old,
    /// Younger than the object, older than the job.
    Before,
    /// Younger than the job.
    Young,
}

impl Found {
    fn by_then(when: When, rule: Rule) -> Self {
        match when {
            When::LongBefore => Self::Old,
            // Nothing is written over it.
            When::TwiceBeforeTheWrite if rule.replaces_none() => Self::Old,
            When::JustBefore | When::BeforeTheWriteAtOnce => Self::Before,
            _ => Self::Young,
        }
    }
}

/// When the objects were last written, and blobs long before the job: before this moment, so that
/// both are the same for every job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) object: SystemTime,
    pub(super) old_blob: SystemTime,
}

impl Times {
    pub(super) fn before(now: SystemTime) -> Self {
        let hours = |hours: u64| now - Duration::from_secs(hours * 3600);
        Self {
            object: hours(3),
            old_blob: hours(4),
        }
    }
}
