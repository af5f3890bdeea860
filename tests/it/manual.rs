//! Help, completions and the manual: all made from one definition, all complete.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use blobfleet::config::{CopierCli, FrontCli, ListerCli, ReporterCli, command};

const FRONT: &str = env!("CARGO_BIN_EXE_blobfleet");

/// Every command of the front program by its words, e.g. `jobs list`.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn add(all: &mut Vec<(Vec<String>, clap::Command)>, path: &[String], command: &clap::Command) {
        for sub in command.get_subcommands() {
            let path = [path, &[sub.get_name().to_owned()]].concat();
            add(all, &path, sub);
            all.push((path, sub.clone()));
        }
    }
    let mut all = Vec::new();
    add(&mut all, &[], &command::<FrontCli>(|_| false));
    all
}

/// The long names of a command's flags.
fn flags(command: &clap::Command) -> Vec<String> {
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    longs.map(|long| format!("--{long}")).collect()
}

fn said(arguments: &[&str]) -> String {
    let output = Command::new(FRONT)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    accepted(output, &format!("{arguments:?}"))
}

fn accepted(output: Output, what: &str) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{what}: {complaint}");
    assert_eq!(complaint, "", "{what}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program makes of an input.
fn fed(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .env("MANWIDTH", "200")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    accepted(output, program)
}

#[test]
fn help_of_every_command_names_what_it_has() {
    let all = commands();
    assert!(all.len() > 8, "{all:?}");
    for (path, command) in all {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        for form in ["-h", "--help"] {
            let help = said(&[&words[..], &[form]].concat());
            for flag in flags(&command) {
                assert!(help.contains(&flag), "{path:?}: {flag}: {help}");
            }
            for sub in command.get_subcommands() {
                let line = format!("\n  {} ", sub.get_name());
                assert!(help.contains(&line), "{path:?}: {line}: {help}");
            }
            let taught = command.get_after_long_help().is_some() && form == "--help";
            assert_eq!(help.contains("Examples:"), taught, "{path:?} {form}");
        }
    }
    let copy = said(&["copy", "--help"]);
    for heading in [
        "Copying:",
        "Names:",
        "Selecting:",
        "Properties:",
        "Source:",
        "State:",
        "Output:",
    ] {
        assert!(copy.contains(&format!("\n{heading}\n")), "{heading}");
    }
}

/// One example for each shape of source.
#[test]
fn copys_help_teaches_every_shape_of_source() {
    let help = said(&["copy", "--help"]);
    let (_, examples) = help.split_once("\nExamples:\n").unwrap();
    for shape in [
        "s3://bucket/dir/photo.jpg ",
        "s3://bucket/dir ",
        "'s3://bucket/dir/*' ",
        "s3://bucket ",
        "'s3://logs-*' ",
        "https://s3.eu-north-1.amazonaws.com ",
        "s3:// ",
        "--s3-endpoint http://",
        "--dry-run",
    ] {
        assert!(examples.contains(shape), "{shape}: {examples}");
    }
}

#[test]
fn bash_reads_the_completions_and_offers_what_there_is() {
    let script = said(&["completions", "bash"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("completions");
    std::fs::write(&path, &script).unwrap();
    let bash = |arguments: &[&str]| {
        let output = Command::new("/bin/bash").args(arguments).output().unwrap();
        accepted(output, &format!("{arguments:?}"))
    };
    bash(&["-n", path.to_str().unwrap()]);
    let offered = |words: &str, cursor: usize| {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={cursor}; \
             _blobfleet blobfleet \"${{COMP_WORDS[{cursor}]}}\" \"${{COMP_WORDS[{cursor}-1]}}\"; \
             echo \"${{COMPREPLY[*]}}\"",
            path.display()
        );
        bash(&["-c", &ask])
    };
    assert_eq!(offered("blobfleet j", 1), "jobs\n");
    assert_eq!(
        offered("blobfleet jobs re", 2),
        "resume retry repair remove\n"
    );
    assert_eq!(offered("blobfleet copy --recur", 2), "--recursive\n");
    assert_eq!(
        offered("blobfleet jobs clean --with-status CompletedWithE", 4),
        "CompletedWithErrors CompletedWithErrorsAndSkipped\n"
    );
    assert!(
        !script.contains("put-md5"),
        "what has no effect is not offered"
    );
}

#[test]
fn every_shell_gets_every_command_and_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = said(&["completions", shell]);
        for (path, command) in commands() {
            let name = path.last().unwrap();
            assert!(script.contains(name.as_str()), "{shell}: {name}");
            for flag in flags(&command) {
                let bare = flag.trim_start_matches('-');
                assert!(script.contains(bare), "{shell}: {flag}");
            }
        }
    }
}

#[test]
fn the_manual_is_complete_and_renders() {
    let roff = said(&["man"]);
    // Warnings of every kind, and nothing to be shown.
    fed("groff", &["-man", "-ww", "-z"], &roff);
    let text = fed("groff", &["-man", "-Tascii", "-P-cbou", "-rLL=300n"], &roff);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (path, command) in commands() {
        let title = format!("blobfleet-{}(1)", path.join("-"));
        assert!(words.contains(&title), "{title}");
        for flag in flags(&command) {
            assert!(words.contains(&flag), "{path:?}: {flag}");
        }
    }
    let roles = [
        command::<ListerCli>(|_| false),
        command::<CopierCli>(|_| false),
        command::<ReporterCli>(|_| false),
    ];
    for role in roles {
        let title = format!("{}(1)", role.get_name());
        assert!(words.contains(&title), "{title}");
        for flag in flags(&role) {
            assert!(words.contains(&flag), "{title}: {flag}");
        }
    }
    let example = "blobfleet copy s3://bucket/dir \"$D/container?SAS\" --recursive\n";
    assert!(text.contains(example), "examples keep their lines");
}

#[test]
fn the_manual_is_written_a_page_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    assert_eq!(said(&["man", "--dir", pages.to_str().unwrap()]), "");
    let mut names: Vec<_> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected: Vec<_> = commands()
        .iter()
        .map(|(path, _)| format!("blobfleet-{}.1", path.join("-")))
        .chain(["blobfleet", "lister", "copier", "reporter"].map(|name| format!("{name}.1")))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    for name in names {
        let page = std::fs::read_to_string(pages.join(&name)).unwrap();
        let title = format!(".TH {} 1 ", name.strip_suffix(".1").unwrap());
        assert!(page.lines().any(|line| line.starts_with(&title)), "{name}");
    }
}
