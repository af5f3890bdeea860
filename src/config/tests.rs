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
    assert_eq!(flag.endpoint(env).as_deref(), Some("http://flag:1"));
    assert_eq!(copy(&[]).s3.endpoint(env).as_deref(), Some("http://s3:1"));
}
