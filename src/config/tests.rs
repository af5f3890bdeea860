//! The command lines.

use super::*;

fn copy(args: &[&str]) -> CopyCommand {
    let all = ["blobfleet", "copy", "s3://b", "http://127.0.0.1:1/acct/c"];
    match parse::<FrontCli>(all.iter().chain(args)).unwrap().command {
        FrontCommand::Copy(command) => *command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definitions_are_sound() {
    command::<FrontCli>(|_| false).debug_assert();
    command::<ListerCli>(|_| false).debug_assert();
    command::<CopierCli>(|_| false).debug_assert();
    command::<ReporterCli>(|_| false).debug_assert();
}

#[test]
fn switches_take_a_value_or_none() {
    assert!(!copy(&[]).copy.recursive);
    assert!(copy(&["--recursive"]).copy.recursive);
    assert!(copy(&["--recursive=true"]).copy.recursive);
    assert!(!copy(&["--recursive=false"]).copy.recursive);
    assert!(!copy(&["--as-subdir=false"]).copy.as_subdir);
    assert!(
        !copy(&["--s2s-preserve-properties=false"])
            .copy
            .carry
            .s2s_preserve_properties
    );
}

/// The words of a line as a shell reads them; `$D` is an account, and its SAS is left out.
fn words(line: &str) -> Vec<String> {
    let line = line.replace("$D", "https://acct.blob.core.windows.net");
    let line = line.replace("?SAS", "");
    line.split(' ')
        .map(|word| word.trim_matches(['"', '\'']).to_owned())
        .collect()
}

#[test]
fn every_example_of_the_help_is_a_command() {
    let mut examples = 0;
    let mut front = command::<FrontCli>(|_| false);
    front.build();
    for command in front.get_subcommands() {
        let help = command.get_after_long_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let lines = help.lines().map(str::trim);
        for line in lines.filter(|line| line.starts_with("blobfleet ")) {
            let line = line.split([';', '|', '>']).next().unwrap().trim();
            let parsed = parse::<FrontCli>(words(line));
            let parsed = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
            if let FrontCommand::Copy(copy) = parsed.command {
                let places = (copy.source.as_str(), copy.destination.as_str());
                let request = copy.copy.request(&copy.s3, places, |_| None);
                request.unwrap_or_else(|failure| panic!("{line}: {failure}"));
            }
            examples += 1;
        }
    }
    assert!(examples >= 16, "{examples}");
}

#[test]
fn every_flag_has_its_environment_variable_and_hides_the_value() {
    let mut front = command::<FrontCli>(|_| false);
    front.build();
    let copy = front.find_subcommand("copy").unwrap().clone();
    let jobs = front.find_subcommand("jobs").unwrap().clone();
    let all = jobs
        .get_subcommands()
        .filter(|jobs| jobs.get_name() != "help");
    for command in all.cloned().chain([
        copy,
        command::<ListerCli>(|_| false),
        command::<CopierCli>(|_| false),
        command::<ReporterCli>(|_| false),
    ]) {
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            if matches!(long, "help" | "version") {
                continue;
            }
            let expected = format!("BLOBFLEET_{}", long.replace('-', "_").to_uppercase());
            let name = arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            assert_eq!(name.as_deref(), Some(expected.as_str()), "--{long}");
            assert!(
                arg.is_hide_env_values_set(),
                "--{long} would show its value in --help"
            );
        }
    }
}

#[test]
fn the_endpoint_comes_from_the_flag_before_the_environment() {
    let env: Env = |name| match name {
        "AWS_ENDPOINT_URL" => Some("http://general:1".to_owned()),
        "AWS_ENDPOINT_URL_S3" => Some("http://s3:1".to_owned()),
        _ => None,
    };
    let flag = copy(&["--s3-endpoint", "http://flag:1"]).s3;
    assert_eq!(
        flag.endpoint("s3://b", env).as_deref(),
        Some("http://flag:1")
    );
    assert_eq!(
        copy(&[]).s3.endpoint("s3://b", env).as_deref(),
        Some("http://s3:1")
    );
}

/// The flags of a program, in the order of their names, without those that every program has.
fn flags<C: CommandFactory>() -> Vec<String> {
    let common = [
        "broker",
        "broker-wait",
        "help",
        "listen",
        "log-level",
        "version",
    ];
    let command = command::<C>(|_| false);
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    let own = longs.filter(|long| !common.contains(long));
    let mut flags: Vec<_> = own.map(str::to_owned).collect();
    flags.sort();
    flags
}

/// What a job carries is said to the lister, and how fast it is copied to the copier.
#[test]
fn a_role_has_the_flags_that_it_heeds() {
    let speed = ["cap-mbps", "concurrency", "hold-denied"];
    let access = ["s3-anonymous", "s3-sse-c-key-file"];
    let copier = [&speed[..], &["destination"], &access].concat();
    let mut copier: Vec<_> = copier.iter().map(ToString::to_string).collect();
    copier.sort();
    assert_eq!(flags::<CopierCli>(), copier);
    assert_eq!(flags::<ReporterCli>(), ["adopt", "state"]);
    let lister = flags::<ListerCli>();
    let has = |flag: &str| lister.iter().any(|own| own == flag);
    for flag in ["overwrite", "include-pattern", "metadata", "s3-endpoint"] {
        assert!(has(flag), "--{flag}");
    }
    for flag in access {
        assert!(has(flag), "--{flag}");
    }
    for flag in speed {
        assert!(!has(flag), "--{flag}");
    }
}

#[test]
fn a_copier_takes_no_flag_of_a_job() {
    for flag in ["--overwrite=false", "--put-md5", "--s3-endpoint=http://s:1"] {
        let line = ["copier", "--broker", "amqp://b", flag];
        let complaint = complaint(&parse::<CopierCli>(line).unwrap_err());
        let name = flag.split('=').next().unwrap();
        assert!(
            complaint.starts_with(&format!("there is no flag {name}")),
            "{complaint}"
        );
    }
}
