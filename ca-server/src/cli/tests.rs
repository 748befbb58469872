use std::time::Duration;

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("ca-server").chain(line.split_whitespace()))
}

#[test]
fn the_definitions_hold_and_every_command_has_help() {
    Cli::command().debug_assert();
    fn visit(command: &clap::Command) {
        if !command.is_hide_set() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
        command.get_subcommands().for_each(visit);
    }
    visit(&Cli::command());
}

#[test]
fn the_documented_lines_are_understood() {
    for line in [
        "quickstart --demo --dir x --listen 127.0.0.1:0 --public-listen 127.0.0.1:0 --domain test --network 10.0.0.0/8",
        "init --dir x --name Plant --dns-name ca.site.test --dns-name pki.site.test --ip 10.0.0.1 --domain site.test --network 10.0.0.0/8 --key file --key-type rsa4096 --root offline --root-out r.key --database postgres://u@h/d --open-acme --no-name-constraints --passphrase-file p",
        "init --dir x --name Plant --ip 10.0.0.1",
        "serve --dir x",
        "config check --dir x",
        "migrate --dir x",
        "db check --dir x",
        "root sign --dir x --root-key r.key",
        "device add gw-1 --profile gateway --dns gw-1.site.test --ip 10.0.0.7 --expires 30d --token-file t --dir x",
        "device add gw-1 --profile p --label role=edge --label line=Line-4",
        "device label gw-1 role=edge line-",
        "device list --label role --label line=4",
        "device list --output json",
        "device show gw-1",
        "device token gw-1",
        "device retire gw-1",
        "device revoke gw-1 --reason keyCompromise",
        "cert list --name gw-* --limit 10",
        "policy check policies --strict --output json",
        "policy check --dir x",
        "policy test policies --cases cases",
        "policy explain policies --profile gateway --dns gw-1.site.test --device gw-1 --site home --label role=edge",
        "policy explain --dir x --profile gateway --dns gw-1.site.test --recorded gw-1",
        "policy explain policies --case policies/cases/gateway.yaml --name one",
        "cert show 0f:1e",
        "cert revoke 0f1e --reason superseded",
        "cert revoke gw-1.pem --reason certificateHold --comment lost",
        "cert release 4A:0F",
        "cert release --where site=home --plan",
        "cert release --where reason=certificateHold --count 12 --comment found",
        "cert revoke --where profile=gateway --where name=*.line3.test --plan",
        "cert revoke --where all --count 12 --reason keyCompromise --output json",
        "cert revoke --where site=home --yes",
        "revocation list --where label.line=3 --since 2026-03-01 --limit 10",
        "device revoke gw-1 --state retired",
        "profile list",
        "profile show gateway",
        "eab create --expires 1d",
        "eab list",
        "eab revoke 00",
        "crl show",
        "crl publish",
        "audit list --output json",
        "status",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn wrong_usage_is_code_2() {
    for line in [
        "",
        "frobnicate",
        "init --dir x",
        "init --dir x --name Plant",
        "init --dir x --name Plant --dns-name a..b",
        "init --dir x --name Plant --ip 10.0.0.1 --network 10.0.0.0/33",
        "init --dir x --name Plant --ip 10.0.0.1 --key-type rsa1024",
        "init --dir x --name Plant --ip 10.0.0.1 --database mysql://x",
        "device add gw-1",
        "device add gw-1 --profile p --expires soon",
        "device list --output yaml",
        "device list --limit 0",
        "device list --label role=",
        "device add gw-1 --profile p --label role",
        "device add gw-1 --profile p --label role-",
        "cert release",
        "cert release 0f --where site=home",
        "cert release --where site=home --reason superseded",
        "device label gw-1",
        "device label gw-1 role",
        "policy explain policies --profile p --dns a.test --recorded gw-1 --device gw-1",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn time_spans_are_read_strictly() {
    assert_eq!(args::duration("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(args::duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
    for bad in ["", "d", "30", "-1d", "1.5h", "0s", "1w", "99999999999999999999d", "9999999999999999d", "1é"] {
        assert!(args::duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn tables_line_up_and_carry_no_control_characters() {
    let rows = [["gw-1".to_owned(), "ok".to_owned()], ["a-long-name".to_owned(), "\u{1b}[31mred".to_owned()]];
    let table = output::table(["NAME", "STATE"], rows.into_iter());
    assert_eq!(table, "NAME         STATE\ngw-1         ok\na-long-name  \u{fffd}[31mred\n");
}

#[test]
fn what_goes_into_a_path_cannot_leave_it() {
    assert_eq!(client::encode("gw-1.site_a~"), "gw-1.site_a~");
    assert_eq!(client::encode("../x?y#z %"), "..%2Fx%3Fy%23z%20%25");
}
