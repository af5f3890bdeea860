//! What the programs say of themselves.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use blobfleet::config::{CopierCli, FrontCli, ListerCli, ReporterCli, command};

const PROGRAMS: [(&str, &str); 4] = [
    ("blobfleet", env!("CARGO_BIN_EXE_blobfleet")),
    ("lister", env!("CARGO_BIN_EXE_lister")),
    ("copier", env!("CARGO_BIN_EXE_copier")),
    ("reporter", env!("CARGO_BIN_EXE_reporter")),
];

fn said(program: &str, arguments: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    assert!(status.success(), "{arguments:?}: {stderr:?}");
    assert!(stderr.is_empty(), "{arguments:?}: {stderr:?}");
    String::from_utf8(stdout).unwrap()
}

fn commands() -> [(&'static str, Vec<&'static str>, clap::Command); 4] {
    let copy = command::<FrontCli>(|_| false)
        .find_subcommand("copy")
        .unwrap()
        .clone();
    let [front, lister, copier, reporter] = PROGRAMS.map(|(_, path)| path);
    [
        (front, vec!["copy"], copy),
        (lister, vec![], command::<ListerCli>(|_| false)),
        (copier, vec![], command::<CopierCli>(|_| false)),
        (reporter, vec![], command::<ReporterCli>(|_| false)),
    ]
}

#[test]
fn help_lists_every_flag_with_its_variable() {
    for (program, mut arguments, command) in commands() {
        for form in ["--help", "-h"] {
            arguments.push(form);
            let help = said(program, &arguments);
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            arguments.pop();
            let mut flags = 0;
            for argument in command.get_arguments() {
                let Some(long) = argument.get_long().filter(|long| *long != "help") else {
                    continue;
                };
                flags += 1;
                assert!(help.contains(&format!("--{long}")), "{long}: {help}");
                if long == "version" {
                    continue;
                }
                let variable = format!("BLOBFLEET_{}", long.to_ascii_uppercase().replace('-', "_"));
                assert_eq!(argument.get_env().unwrap(), variable.as_str());
                assert!(argument.is_hide_env_values_set(), "{long}");
                assert!(
                    help.contains(&format!("[env: {variable}]")),
                    "{long}: {help}"
                );
                assert!(argument.get_help().is_some(), "{long} is not explained");
            }
            assert!(flags > 5, "{program}: {flags}");
        }
    }
}

#[test]
fn the_front_command_shows_its_commands() {
    let (_, front) = PROGRAMS[0];
    let help = said(front, &["--help"]);
    assert!(help.contains("\n  copy "), "{help}");
    let copy = said(front, &["copy", "--help"]);
    assert_eq!(said(front, &["cp", "--help"]), copy);
    assert_eq!(said(front, &["help", "copy"]), copy);
}

#[test]
fn every_program_knows_its_version() {
    for (name, program) in PROGRAMS {
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(said(program, &["--version"]), version);
        assert_eq!(said(program, &["-V"]), version);
    }
}

#[test]
fn without_a_command_there_is_help_and_a_failure() {
    let (_, front) = PROGRAMS[0];
    let output = Command::new(front).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Usage: blobfleet <COMMAND>"), "{text}");
}

/// What a program complains of, with `variables` and no others.
fn complaint(program: &str, arguments: &[&str], variables: &[(String, &str)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .envs(variables.iter().cloned())
        .current_dir(home.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("blobfleet: "));
    line.unwrap_or_else(|| panic!("{program} says nothing of {variables:?}"))
        .to_owned()
}

/// Docker Compose passes on as empty what nobody has set.
#[test]
fn a_variable_set_to_nothing_is_unset() {
    let places = ["s3://b/k", "http://127.0.0.1:1/account/box"];
    let broker = ["--broker", "amqp://127.0.0.1:1", "--broker-wait", "0"];
    for (program, arguments, command) in commands() {
        let variables = command.get_arguments().filter_map(|argument| {
            let name = argument.get_env()?.to_str().unwrap();
            Some((name.to_owned(), ""))
        });
        let variables: Vec<_> = variables.collect();
        assert!(variables.len() > 5, "{program}");
        let (rest, expected) = match arguments.first() {
            Some(_) => (&places[..], "AZURE_STORAGE_SAS_TOKEN"),
            None => (&broker[..], "waited 0 s for the broker"),
        };
        let whole = [arguments.as_slice(), rest].concat();
        let without = complaint(program, &whole, &[]);
        assert!(without.contains(expected), "{program}: {without}");
        assert_eq!(complaint(program, &whole, &variables), without, "{program}");

        let without = complaint(program, &arguments, &[]);
        assert!(without.starts_with("missing: "), "{program}: {without}");
        assert_eq!(complaint(program, &arguments, &variables), without);
    }
}

/// The roles share one environment: what one of them does not use, it does not look at.
#[test]
fn a_variable_of_another_role_is_harmless() {
    let variables = |command: &clap::Command| -> BTreeSet<String> {
        let names = command.get_arguments().filter_map(clap::Arg::get_env);
        names
            .map(|name| name.to_str().unwrap().to_owned())
            .collect()
    };
    let commands = commands();
    let all: BTreeSet<_> = commands.iter().flat_map(|(.., it)| variables(it)).collect();
    let broker = ["--broker", "amqp://127.0.0.1:1", "--broker-wait", "0"];
    for (program, _, command) in &commands[1..] {
        let own = variables(command);
        let foreign = all.difference(&own).cloned();
        let foreign: Vec<_> = foreign.map(|name| (name, "nonsense")).collect();
        assert!(foreign.len() > 4, "{program}: {foreign:?}");
        let without = complaint(program, &broker, &[]);
        assert!(without.contains("waited 0 s for the broker"), "{without}");
        assert_eq!(complaint(program, &broker, &foreign), without, "{program}");
    }
}

/// What only makes sense outside of the compose file.
const NOT_COMPOSED: [&str; 3] = [
    "BLOBFLEET_OUTPUT_LEVEL",
    "BLOBFLEET_OUTPUT_TYPE",
    "BLOBFLEET_WAIT",
];

#[test]
fn the_compose_file_passes_every_flag_on() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docker-compose.yml");
    let compose = std::fs::read_to_string(path).unwrap();
    for command in [
        command::<ListerCli>(|_| false),
        command::<CopierCli>(|_| false),
        command::<ReporterCli>(|_| false),
    ] {
        for name in command.get_arguments().filter_map(clap::Arg::get_env) {
            let name = name.to_str().unwrap();
            let passed = compose.lines().any(|line| {
                let line = line.trim();
                line.split(':').next() == Some(name)
            });
            assert!(passed || NOT_COMPOSED.contains(&name), "{name}");
        }
    }
}
