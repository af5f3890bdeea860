//! A disk that loses its power: rebuilds files from a journal of what a process did to them.
//!
//! What was synced stays. Of what was not, nothing or any part stays, in any order; a file that
//! was made or removed is there or gone for certain only after its folder was synced.

use std::collections::BTreeMap;
use std::path::Path;

/// Something that happened to a file of the folder, or that the process said.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Created(String),
    Wrote(String, usize, Vec<u8>),
    Truncated(String, usize),
    Synced(String),
    Unlinked(String),
    Said(String),
}

/// Reads what `embedded_durability.c` wrote.
pub(crate) fn read_journal(path: &Path) -> Vec<Event> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(24);
        let number = |range: std::ops::Range<usize>| {
            let mut eight = [0; 8];
            eight[..range.len()].copy_from_slice(&head[range]);
            usize::try_from(u64::from_le_bytes(eight)).unwrap()
        };
        let (operation, offset, length) = (head[0], number(8..16), number(16..24));
        let (path, tail) = tail.split_at(number(4..8));
        let (data, tail) = tail.split_at(length);
        let path = String::from_utf8(path.to_vec()).unwrap();
        events.push(match operation {
            b'C' => Event::Created(path),
            b'W' => Event::Wrote(path, offset, data.to_vec()),
            b'T' => Event::Truncated(path, offset),
            b'S' => Event::Synced(path),
            b'U' => Event::Unlinked(path),
            b'O' => Event::Said(String::from_utf8_lossy(data).into_owned()),
            other => panic!("unknown record {other}"),
        });
        rest = tail;
    }
    events
}

/// A small generator whose numbers follow from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                let end = at + data.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(data);
            }
            Self::Truncate(size) => content.resize(*size, 0),
        }
    }

    /// What of it reaches the disk when the power goes: all, nothing, or its first sectors.
    fn torn(&self, dice: &mut Dice) -> Option<Self> {
        match (dice.below(4), self) {
            (0 | 1, _) => Some(self.clone()),
            (2, Self::Write(at, data)) => {
                let sectors = dice.below(data.len() / 512 + 1);
                Some(Self::Write(*at, data[..sectors * 512].to_vec()))
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    pending: Vec<Change>,
}

/// Files by name, after a loss of power.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The folder as the process sees it, and what of it is certain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    certain: BTreeMap<String, usize>,
    /// Files made (with their number) and removed since the folder was synced.
    pending: Vec<(String, Option<usize>)>,
}

impl Disk {
    /// A disk on which these files are certain.
    pub(crate) fn holding(files: &Files) -> Self {
        let mut disk = Self::default();
        for (name, content) in files {
            disk.create(name);
            disk.files.last_mut().unwrap().synced.clone_from(content);
        }
        disk.sync("");
        disk
    }

    fn create(&mut self, name: &str) {
        self.files.push(File::default());
        let number = self.files.len() - 1;
        self.names.insert(name.to_owned(), number);
        self.pending.push((name.to_owned(), Some(number)));
    }

    fn change(&mut self, name: &str, change: Change) {
        let number = self.names[name];
        self.files[number].pending.push(change);
    }

    fn sync(&mut self, name: &str) {
        if name.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            pending.iter().for_each(|one| enter(&mut self.certain, one));
            return;
        }
        let file = &mut self.files[self.names[name]];
        let File { synced, pending } = file;
        pending.drain(..).for_each(|change| change.apply(synced));
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Created(name) => self.create(name),
            Event::Wrote(name, at, data) => self.change(name, Change::Write(*at, data.clone())),
            Event::Truncated(name, size) => self.change(name, Change::Truncate(*size)),
            Event::Synced(name) => self.sync(name),
            Event::Unlinked(name) => {
                self.names.remove(name);
                self.pending.push((name.clone(), None));
            }
            Event::Said(_) => {}
        }
    }

    /// The power goes: with dice any part of what is uncertain stays, without them nothing.
    pub(crate) fn lose_power(&self, mut dice: Option<&mut Dice>) -> Files {
        let mut names = self.certain.clone();
        if let Some(dice) = &mut dice {
            let kept = dice.below(self.pending.len() + 1);
            self.pending[..kept]
                .iter()
                .for_each(|one| enter(&mut names, one));
        }
        let content = |number: usize, dice: &mut Option<&mut Dice>| {
            let File { synced, pending } = &self.files[number];
            let mut content = synced.clone();
            if let Some(dice) = dice {
                let torn = pending.iter().filter_map(|change| change.torn(dice));
                torn.for_each(|change| change.apply(&mut content));
            }
            content
        };
        names
            .into_iter()
            .map(|(name, number)| (name, content(number, &mut dice)))
            .collect()
    }
}

fn enter(names: &mut BTreeMap<String, usize>, (name, number): &(String, Option<usize>)) {
    match number {
        Some(number) => names.insert(name.clone(), *number),
        None => names.remove(name),
    };
}
