//! A real nginx that staples our answers, after it has verified them.

use std::process::Command;

use tests::folders::write;
use tests::nginx::Nginx;
use tests::process::run;
use tests::wait;

use crate::world::World;

/// OCS-1 and OCS-7: fails when nginx cannot fetch or does not believe an answer; it asks where the certificate says.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_1_and_7_nginx_staples_what_it_has_verified() {
    let world = World::start().await;
    let trusted = world.folder.path().join("trusted.pem");
    let chain = [world.ca.roots(), world.ca.issuer()].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    write(&trusted, chain, 0o644);
    let mut nginx = Nginx::prepare(&world.agent.live("identity"));
    nginx.add(&format!("ssl_stapling on;\nssl_stapling_verify on;\nssl_trusted_certificate {};\n", trusted.display()));
    nginx.run().await;
    let address = nginx.address();
    let handshake = async || {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &address, "-servername", "gw-1.site.test", "-status", "-CAfile"]);
        command.arg(world.ca.roots()).stdin(std::process::Stdio::null());
        run(&mut command).await.stdout
    };
    wait::until_true("nginx to staple", 30, async || handshake().await.contains("Cert Status: good")).await;
    nginx.stop().await;
}
