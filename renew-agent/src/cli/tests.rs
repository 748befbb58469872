use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_commands_of_the_manual_parse() {
    for line in [
        "renew-agent enroll plt1.x",
        "renew-agent enroll --token-file /run/token --dir /x --config /y",
        "renew-agent enroll - --force",
        "renew-agent --dir /x run",
        "renew-agent run --dir /x --config /y",
        "renew-agent once",
        "renew-agent status --output json",
        "renew-agent renew identity",
        "renew-agent doctor --output table",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    for line in ["renew-agent", "renew-agent enroll", "renew-agent renew", "renew-agent status --output xml"] {
        assert!(parse(line).unwrap_err().use_stderr(), "{line}");
    }
}
