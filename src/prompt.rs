//! Asks the user at the terminal, one question at a time.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::failure::{Failure, Reason, Result};
use crate::job::Overwrite;

/// Asks whether blobs may be replaced; clones share the answers that hold for all.
#[derive(Clone, Debug)]
pub struct Prompter {
    /// The answer for every further question, once there is one; none where nobody can be asked.
    for_all: Option<Arc<Mutex<Option<bool>>>>,
}

impl Prompter {
    /// Who is asked in this mode.
    ///
    /// # Errors
    /// See [`Prompter::terminal`].
    pub fn of(mode: Overwrite) -> Result<Self> {
        match mode {
            Overwrite::Prompt => Self::terminal(),
            _ => Ok(Self::nobody()),
        }
    }

    /// Nobody can be asked.
    pub fn nobody() -> Self {
        Self { for_all: None }
    }

    /// The user at the terminal.
    ///
    /// # Errors
    /// [`Reason::Usage`]: standard input or error is no terminal.
    fn terminal() -> Result<Self> {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Failure::stop(
                Reason::Usage,
                "--overwrite=prompt needs a terminal to ask at: give true, false, ifSourceNewer or \
                 changed",
            ));
        }
        Ok(Self {
            for_all: Some(Arc::default()),
        })
    }

    /// May a blob be replaced? `situation` says which one, e.g. `c/b is there`.
    ///
    /// # Errors
    /// Nobody can be asked, or nobody answers.
    pub async fn overwrite(&self, situation: &str) -> Result<bool> {
        let Some(for_all) = &self.for_all else {
            return Err(no_answer());
        };
        let mut known = for_all.lock().await;
        if let Some(answer) = *known {
            return Ok(answer);
        }
        loop {
            let text =
                format!("{situation}. Replace it? [y]es, [n]o, yes for [a]ll, no for a[l]l: ");
            let line = tokio::task::spawn_blocking(move || ask(&text))
                .await
                .map_err(|_| no_answer())?
                .map_err(|_| no_answer())?;
            match read(&line) {
                Some((answer, all)) => {
                    *known = all.then_some(answer);
                    return Ok(answer);
                }
                None if line.is_empty() => return Err(no_answer()),
                None => {}
            }
        }
    }
}

/// The answer, and whether it holds for all; none for anything else.
fn read(line: &str) -> Option<(bool, bool)> {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some((true, false)),
        "n" | "no" => Some((false, false)),
        "a" | "all" => Some((true, true)),
        "l" => Some((false, true)),
        _ => None,
    }
}

fn ask(text: &str) -> io::Result<String> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

fn no_answer() -> Failure {
    Failure::stop(
        Reason::Usage,
        "nobody answers whether blobs may be replaced: give --overwrite=true, false, ifSourceNewer \
         or changed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_tolerance() {
        assert_eq!(read("Y\n"), Some((true, false)));
        assert_eq!(read(" no "), Some((false, false)));
        assert_eq!(read("a"), Some((true, true)));
        assert_eq!(read("l\r\n"), Some((false, true)));
        assert_eq!(read("perhaps"), None);
    }

    #[tokio::test]
    async fn without_anybody_to_ask_it_fails() {
        let failure = Prompter::nobody()
            .overwrite("c/b is there")
            .await
            .unwrap_err();
        assert_eq!(failure.reason, Reason::Usage);
    }
}
