//! A real nginx that asks for client certificates and is given our lists by `ssl_crl`.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::certificate::Leaf;
use tests::folders::write;
use tests::nginx::Nginx;
use tests::process::run;
use tests::wait;
use tests::world::enrolled;

use crate::world::World;

/// Fails when nginx does not take our lists, lets a revoked client in, or shuts out one that is not.
#[tokio::test(flavor = "multi_thread")]
async fn crl_3_and_4_nginx_refuses_a_revoked_client() {
    let world = World::start(&[]).await;
    let good = enrolled(&world.ca, "gw-2", "gateway", &["gw-2.site.test"]).await;
    let bad = enrolled(&world.ca, "gw-3", "gateway", &["gw-3.site.test"]).await;
    let (cas, lists) = (world.folder.path().join("cas.pem"), world.folder.path().join("lists.pem"));
    write(&cas, [std::fs::read(world.ca.roots()).unwrap(), std::fs::read(world.ca.issuer()).unwrap()].concat(), 0o644);
    let fetch = async || {
        // nginx wants a list of every CA in the chain, all in one file of PEM
        let mut all = Vec::new();
        for list in [world.of_root(), world.complete()] {
            all.extend(std::fs::read(world.pem(&list).await).unwrap());
        }
        write(&lists, all, 0o644);
    };
    fetch().await;
    let mut nginx = Nginx::prepare(&good.live("identity"));
    nginx.add(&format!(
        "ssl_client_certificate {};\n        ssl_verify_client on;\n        ssl_verify_depth 2;\n        ssl_crl {};\n        ",
        cas.display(),
        lists.display()
    ));
    nginx.run().await;
    let address = format!("https://localhost:{}/", nginx.address().rsplit_once(':').unwrap().1);
    let visit = async |agent: &tests::agent::Agent| {
        let current = agent.live("identity").join("current");
        let mut command = Command::new("curl");
        command.args(["-sS", "-k", "--max-time", "20", "--cert"]).arg(current.join("fullchain.pem"));
        run(command.arg("--key").arg(current.join("key.pem")).arg(&address)).await.stdout
    };
    assert_eq!((visit(&good).await.trim(), visit(&bad).await.trim()), ("served", "served"));

    let leaf = Leaf::from_file(&bad.live("identity").join("current/cert.pem"));
    world.revoke(&leaf.serial, "keyCompromise").await;
    world.named(&world.complete(), &leaf.serial).await;
    fetch().await;
    let pid = std::fs::read_to_string(nginx.pid_file()).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    wait::until_true("nginx to refuse it", 20, async || visit(&bad).await.contains("The SSL certificate error")).await;
    assert_eq!(visit(&good).await.trim(), "served");
    nginx.stop().await;
}
