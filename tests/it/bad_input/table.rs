//! Tables of cases, three lines each: a name; a command line as a shell takes it, the environment
//! first; the exit code and parts of the one line that names cause and remedy.

/// One command that must be refused.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    pub(super) line: String,
    pub(super) env: Vec<(&'a str, &'a str)>,
    pub(super) code: i32,
    pub(super) says: Vec<&'a str>,
}

impl<'a> Case<'a> {
    fn read(name: &'a str, command: &'a str, outcome: &'a str) -> Self {
        let words = || command.split(' ').filter(|word| !word.is_empty());
        let variable = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
        let (code, says) = outcome.trim().split_once(": ").unwrap();
        Self {
            name,
            line: words().skip_while(variable).collect::<Vec<_>>().join(" "),
            env: words()
                .take_while(variable)
                .map(|word| word.split_once('=').unwrap())
                .collect(),
            code: code.parse().unwrap(),
            says: says.split(" | ").collect(),
        }
    }
}

/// Reads a table; `#` begins a comment.
pub(super) fn read(table: &str) -> Vec<Case<'_>> {
    let lines: Vec<&str> = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let cases = lines.chunks_exact(3);
    assert!(cases.remainder().is_empty(), "a case has three lines");
    cases
        .map(|case| Case::read(case[0], case[1], case[2]))
        .collect()
}
