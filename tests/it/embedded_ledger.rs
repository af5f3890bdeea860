//! What a process said it did to the embedded broker, and so what must be found after a crash.

use std::collections::BTreeMap;

/// What the child said it did, and so what may and what must be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Where each message is that must be there.
    must: BTreeMap<u32, usize>,
    /// Acknowledged: may come again.
    may: BTreeMap<u32, usize>,
    /// Begun, not confirmed: all of it or nothing.
    publishing: Option<(usize, u32, u32)>,
    /// Begun, not confirmed: (from, to) in either place.
    moving: Option<(u32, usize, u32, usize)>,
    log: Vec<u32>,
    appending: Option<u32>,
}

impl Ledger {
    /// Begins with what was found, which is certain.
    pub(crate) fn starting(found: BTreeMap<u32, usize>, log: Vec<u32>) -> Self {
        Self {
            must: found,
            log,
            ..Self::default()
        }
    }

    /// Reads one line of what was said.
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        let place = |at: usize| words[at].parse::<usize>().unwrap();
        match words[0] {
            "publish" => self.publishing = Some((place(1), number(2), number(3))),
            "published" => {
                let (queue, first, count) = self.publishing.take().unwrap();
                self.must
                    .extend((first..first + count).map(|one| (one, queue)));
            }
            "ack" => {
                let queue = self.forget(number(1));
                self.may.insert(number(1), queue);
            }
            "move" => {
                let from = self.forget(number(1));
                self.moving = Some((number(1), from, number(2), place(3)));
            }
            "moved" => {
                let (.., new, to) = self.moving.take().unwrap();
                self.must.insert(new, to);
            }
            "append" => self.appending = Some(number(1)),
            "appended" => self.log.extend(self.appending.take()),
            _ => {}
        }
    }

    /// A message can be taken between its commit and the line that says so.
    fn forget(&mut self, number: u32) -> usize {
        let publishing = self.publishing.map_or(0, |(queue, ..)| queue);
        let known = self
            .must
            .remove(&number)
            .or_else(|| self.may.remove(&number));
        known.unwrap_or_else(|| {
            self.early(number);
            publishing
        })
    }

    /// A message of the batch under way was delivered: so the batch is committed.
    fn early(&mut self, number: u32) {
        let (queue, first, count) = self.publishing.unwrap();
        assert!(
            (first..first + count).contains(&number),
            "{number} came from nowhere"
        );
        self.must
            .extend((first..first + count).map(|one| (one, queue)));
        self.must.remove(&number);
        self.publishing = Some((queue, first, 0));
    }

    /// Fails unless what was found is what could be left.
    pub(crate) fn check(&self, found: &BTreeMap<u32, usize>, log: &[u32], at: &str) {
        let mut left = found.clone();
        for (number, queue) in &self.must {
            assert_eq!(
                left.remove(number),
                Some(*queue),
                "{at}: {number} was confirmed"
            );
        }
        for (number, queue) in &self.may {
            let back = left.remove(number);
            assert!(
                back.is_none() || back == Some(*queue),
                "{at}: {number} in {back:?}"
            );
        }
        if let Some((old, from, new, to)) = self.moving {
            let (stayed, went) = if old == new {
                let at = left.remove(&old);
                (at == Some(from), at == Some(to))
            } else {
                (
                    left.remove(&old) == Some(from),
                    left.remove(&new) == Some(to),
                )
            };
            assert!(stayed != went, "{at}: {old} → {new}: {stayed} {went}");
        }
        if let Some((queue, first, count)) = self.publishing {
            let there = (first..first + count).filter(|one| left.remove(one) == Some(queue));
            let there = u32::try_from(there.count()).unwrap();
            assert!(
                there == 0 || there == count,
                "{at}: {there} of a batch of {count}"
            );
        }
        assert!(left.is_empty(), "{at}: nobody knows {left:?}");
        let (sure, more) = log
            .split_at_checked(self.log.len())
            .expect("appended records");
        assert_eq!(sure, self.log, "{at}");
        assert!(
            more.is_empty() || Some(more[0]) == self.appending && more.len() == 1,
            "{at}"
        );
    }
}
