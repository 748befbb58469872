//! Debian's nginx, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

use crate::folders::Folder;
use crate::ports::Port;
use crate::process::Process;
use crate::wait;

/// Where Debian puts it.
pub const BINARY: &str = "/usr/sbin/nginx";

/// What one answers that is no proxy.
const SERVED: &str = r#"location / { return 200 "served\n"; }"#;

/// A running nginx that serves HTTPS with the certificate of one `live/NAME` folder.
pub struct Nginx {
    process: Option<Process>,
    port: Port,
    folder: Folder,
}

impl Nginx {
    /// Starts one and waits until it accepts connections. `live` holds the `current` link.
    pub async fn start(live: &Path) -> Self {
        let mut nginx = Self::prepare(live);
        nginx.run().await;
        nginx
    }

    /// Configures one without starting it.
    pub fn prepare(live: &Path) -> Self {
        let (folder, port) = (prepared(), Port::take());
        std::fs::write(folder.path().join("nginx.conf"), configuration(folder.path(), live, &port)).unwrap();
        Self { process: None, port, folder }
    }

    /// Configures one that terminates TLS at `port` in front of an HTTPS server at `backend`, whose certificate it checks
    /// against the roots in a PEM file.
    pub fn prepare_proxy(port: Port, live: &Path, backend: &str, roots: &Path) -> Self {
        let folder = prepared();
        let location = format!(
            "location / {{\n            proxy_pass https://{backend};\n            proxy_ssl_name localhost;\n            \
             proxy_ssl_server_name on;\n            proxy_ssl_verify on;\n            \
             proxy_ssl_trusted_certificate {};\n            proxy_set_header Host $http_host;\n            \
             proxy_set_header X-Forwarded-For $remote_addr;\n        }}",
            roots.display()
        );
        let text = configuration(folder.path(), live, &port).replace(SERVED, &location);
        std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
        Self { process: None, port, folder }
    }

    /// Adds directives to its server before it is started.
    pub fn add(&mut self, directives: &str) {
        let file = self.folder.path().join("nginx.conf");
        let text = std::fs::read_to_string(&file).unwrap().replace(SERVED, &format!("{directives}{SERVED}"));
        std::fs::write(file, text).unwrap();
    }

    /// Starts it and waits until it accepts connections.
    pub async fn run(&mut self) {
        let mut process = launch(&self.folder);
        let address = self.port.address();
        wait::until_true("nginx to accept", 20, async || {
            process.must_run();
            tokio::net::TcpStream::connect(&address).await.is_ok()
        })
        .await;
        self.process = Some(process);
    }

    /// The HTTPS address.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// The file with the master's process id.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.path().join("nginx.pid")
    }

    /// The `[certificate.service]` and `[[certificate.probe]]` sections with which an agent reloads and sees it.
    pub fn agent_sections(&self) -> String {
        format!(
            "[certificate.service]\ntype = \"nginx\"\npid_file = \"{}\"\nbinary = \"{BINARY}\"\nconfig = \"{}\"\nprefix = \"{}\"\n\n\
             [[certificate.probe]]\naddress = \"{}\"\nserver_name = \"localhost\"\n",
            self.pid_file().display(),
            self.folder.path().join("nginx.conf").display(),
            self.folder.path().display(),
            self.address(),
        )
    }

    /// Kills it with its workers.
    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Ends it as an operator would.
    pub async fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        assert!(process.stop().await.success(), "{}", process.log());
    }
}

/// A folder with the places that nginx writes to.
fn prepared() -> Folder {
    let folder = Folder::new();
    for name in ["body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        folder.sub(name);
    }
    folder
}

fn launch(folder: &Folder) -> Process {
    let mut command = Command::new(BINARY);
    command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
    // Before it has read its configuration nginx complains to a log that was compiled in, unless told otherwise.
    command.arg("-e").arg(folder.path().join("error.log"));
    Process::start("nginx", &mut command, folder.path().join("error.log"))
}

fn configuration(folder: &Path, live: &Path, port: &Port) -> String {
    let folder = folder.display();
    let current = live.join("current");
    let current = current.display();
    let user = if geteuid().is_root() { "user root root;" } else { "" };
    format!(
        r#"daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 60s;
    keepalive_requests 1000000;
    server {{
        listen {address} ssl;
        server_name localhost;
        ssl_certificate {current}/fullchain.pem;
        ssl_certificate_key {current}/key.pem;
        {SERVED}
    }}
}}
"#,
        address = port.address(),
    )
}
