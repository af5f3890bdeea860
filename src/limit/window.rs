//! The rule by which a limit on requests in flight grows and shrinks. Pure.
//!
//! Answers are judged a *window* at a time: as many requests as the limit allows, begun after the
//! last change, so that one overload is answered once. A window with more than a hundredth of
//! refusals cuts the limit in proportion to their share (as DCTCP does with marked packets,
//! RFC 8257): a little for a little, half for a collapse. A clean window lets it grow: doubling
//! until the first trouble, then quickly back towards the limit that was last too much, then
//! feeling its way beyond. Where answers only become slow, it stays: more requests would only
//! queue at the other side.

use std::time::Duration;

use tokio::time::Instant;

/// Limits that are never left.
const LEAST: f64 = 1.0;
/// What a new limit begins with.
const FIRST: f64 = 16.0;
/// Answers that are judged together, at least.
const WINDOW: u32 = 20;
/// The share of refusals that is noise.
const NOISE: f64 = 0.01;
/// Up to this share over some windows, and up to so many requests, nothing is cut: so few are
/// hardly an overload.
const BEARABLE: f64 = 0.1;
const FEW: f64 = 32.0;
/// Up to this share, trouble is not about how many requests there are.
const TROUBLED: f64 = 0.3;
/// How much the newest window weighs in the memory of shares.
const WEIGHT: f64 = 0.25;
/// Answers this many times slower than at best, and [`SLACK`], end the growth.
const SLOW: f64 = 3.0;
const SLACK: f64 = 0.010;
/// Answers this many times slower cut the limit, as long as it is above [`ROOM`].
const CRAWLING: f64 = 5.0;
const ROOM: f64 = 64.0;
/// The smallest step: four of them let one request more through.
const FINEST: f64 = 0.25;
/// How quickly the best latency is forgotten, each window.
const FORGET: f64 = 1.001;

/// How a request ended, as far as the limit goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Well, or by no fault of too many requests. The time is given where it compares: of requests
    /// that all do about the same.
    Fine(Option<Duration>),
    /// The other side is overloaded: it refused for now, or did not get done in time.
    Overload,
    /// No answer, or an error of its own: an overload only where it is about every third.
    Trouble,
    /// To a request for an object that was refused often before: that it was `refused` again is its
    /// own trouble where all others are answered, and an overload else.
    Doubtful {
        /// As overloaded.
        refused: bool,
    },
}

/// A limit and what it learns from.
#[derive(Clone, Debug)]
pub(super) struct Window {
    limit: f64,
    most: f64,
    /// The limit that was last too much; none before the first trouble.
    ceiling: Option<f64>,
    /// Clean windows beyond the ceiling, in a row.
    streak: u32,
    /// Share of refusals, remembered.
    share: f64,
    /// The same without what is doubtful; none before there was anything else.
    others: Option<f64>,
    /// The best latency there was, in seconds.
    best: Option<f64>,
    since: Option<Instant>,
    seen: Tally,
}

/// What the present window has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    answers: u32,
    overloads: u32,
    doubtful: u32,
    /// Of these, the refused ones.
    doubts: u32,
    troubles: u32,
    busiest: usize,
    timed: u32,
    seconds: f64,
}

impl Window {
    /// A limit that may grow up to `most`.
    pub(super) fn new(most: u16) -> Self {
        let most = f64::from(most.max(1));
        Self {
            limit: FIRST.min(most),
            most,
            ceiling: None,
            streak: 0,
            share: 0.0,
            others: None,
            best: None,
            since: None,
            seen: Tally::default(),
        }
    }

    /// Requests that may be in flight, at least 1.
    pub(super) fn limit(&self) -> usize {
        // From 1 to 65535: neither sign nor size can be lost.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let limit = self.limit as usize;
        limit
    }

    /// Takes note of a request that was begun at `begun` and ended now, `in_flight` counting it.
    pub(super) fn answered(
        &mut self,
        begun: Instant,
        now: Instant,
        in_flight: usize,
        answer: Answer,
    ) {
        let since = *self.since.get_or_insert(begun);
        if begun < since {
            return;
        }
        self.seen.take(in_flight, answer);
        if f64::from(self.seen.answers) >= self.limit.max(f64::from(WINDOW)) {
            self.judge();
            self.since = Some(now);
            self.seen = Tally::default();
        }
    }

    fn judge(&mut self) {
        if let Some(now) = self.seen.others() {
            let before = self.others.unwrap_or(now);
            self.others = Some(before + WEIGHT * (now - before));
        }
        let doubts_count = self.others.is_none_or(|share| share > NOISE);
        let share = self.seen.share(doubts_count);
        self.share += WEIGHT * (share - self.share);
        let slowness = self.slowness();
        let limit = if share > NOISE && self.share <= BEARABLE && self.limit <= FEW {
            self.limit
        } else if share > NOISE {
            self.lower_ceiling();
            self.limit * (1.0 - self.share.max(share) / 2.0)
        } else if slowness > CRAWLING && self.limit > ROOM {
            self.lower_ceiling();
            (self.limit * 0.9).max(ROOM)
        } else if slowness > SLOW {
            // Enough: what follows is feeling one's way, should it become faster again.
            self.ceiling = Some(self.limit);
            self.streak = 0;
            self.limit
        } else if self.seen.is_busy(self.limit) {
            self.limit + self.step()
        } else {
            self.limit
        };
        self.limit = limit.clamp(LEAST, self.most);
    }

    /// How many times slower than at best the window was, the slack taken off.
    fn slowness(&mut self) -> f64 {
        let Some(mean) = self.seen.mean() else {
            return 0.0;
        };
        let best = self.best.map_or(mean, |best| (best * FORGET).min(mean));
        self.best = Some(best);
        (mean - SLACK) / best.max(0.000_1)
    }

    /// The limit was too much: as high as this again, or half the way down to it.
    fn lower_ceiling(&mut self) {
        let here = self.limit;
        self.ceiling = Some(match self.ceiling {
            Some(ceiling) if here < ceiling * 0.9 => f64::midpoint(ceiling, here),
            _ => here,
        });
        self.streak = 0;
    }

    /// How much a clean window adds.
    fn step(&mut self) -> f64 {
        let Some(ceiling) = self.ceiling else {
            return self.limit;
        };
        if self.limit < ceiling * 0.98 {
            return ((ceiling - self.limit) / 4.0).max(FINEST);
        }
        let doublings = f64::from(self.streak.min(5));
        self.streak += 1;
        (self.limit * doublings.exp2() / 32.0).max(FINEST)
    }
}

impl Tally {
    fn take(&mut self, in_flight: usize, answer: Answer) {
        self.answers += 1;
        self.busiest = self.busiest.max(in_flight);
        match answer {
            Answer::Fine(Some(time)) => {
                self.timed += 1;
                self.seconds += time.as_secs_f64();
            }
            Answer::Fine(None) => {}
            Answer::Overload => self.overloads += 1,
            Answer::Trouble => self.troubles += 1,
            Answer::Doubtful { refused } => {
                self.doubtful += 1;
                self.doubts += u32::from(refused);
            }
        }
    }

    /// The share of answers that speak of overload.
    fn share(&self, doubts_count: bool) -> f64 {
        let of = |count: u32| f64::from(count) / f64::from(self.answers);
        let trouble = of(self.troubles);
        let counted = if trouble > TROUBLED { trouble } else { 0.0 };
        let doubts = if doubts_count { of(self.doubts) } else { 0.0 };
        of(self.overloads) + doubts + counted
    }

    /// The share of refusals among the answers that are not doubtful, where there are any.
    fn others(&self) -> Option<f64> {
        let others = self.answers - self.doubtful;
        (others > 0).then(|| f64::from(self.overloads) / f64::from(others))
    }

    /// Was the limit made use of?
    fn is_busy(&self, limit: f64) -> bool {
        let busiest = u32::try_from(self.busiest).unwrap_or(u32::MAX);
        f64::from(busiest) * 2.0 >= limit
    }

    /// Mean latency in seconds, where enough answers were timed.
    fn mean(&self) -> Option<f64> {
        (self.timed * 4 > self.answers).then(|| self.seconds / f64::from(self.timed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of answers to a limit that is made use of; gives the limit at last.
    fn after(window: &mut Window, windows: u32, answer: impl Fn(u32) -> Answer) -> usize {
        let now = Instant::now();
        for _ in 0..windows {
            for number in 0..WINDOW.max(window.limit as u32) {
                let in_flight = window.limit();
                window.answered(now, now, in_flight, answer(number));
            }
        }
        window.limit()
    }

    const FINE: Answer = Answer::Fine(None);
    const DOUBT: Answer = Answer::Doubtful { refused: true };

    #[test]
    fn one_keys_own_trouble_cuts_nothing() {
        let mut window = Window::new(200);
        let lone = |number| if number % 10 == 0 { DOUBT } else { FINE };
        assert_eq!(after(&mut window, 20, lone), 200, "beside others");
        assert_eq!(
            after(&mut window, 20, |_| DOUBT),
            200,
            "when it alone is left"
        );
        assert!(after(&mut window, 20, |_| Answer::Overload) < 10);
    }

    #[test]
    fn what_was_refused_often_counts_where_others_are_refused_too() {
        let throttled = |number| match number % 10 {
            0 => FINE,
            1 => Answer::Overload,
            _ => DOUBT,
        };
        let mut window = Window::new(200);
        after(&mut window, 20, |_| FINE);
        assert!(after(&mut window, 20, throttled) < 10);
        assert!(after(&mut window, 20, |_| DOUBT) < 10, "no others are left");
        let mut new = Window::new(200);
        assert!(after(&mut new, 20, |_| DOUBT) < 10, "nothing else is known");
        let answered = Answer::Doubtful { refused: false };
        after(&mut new, 20, |_| answered);
        assert!(new.limit() > 10, "what is answered lets it grow again");
    }
}
