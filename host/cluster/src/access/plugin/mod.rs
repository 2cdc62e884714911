//! Exec plugins: programs that a kubeconfig names, which print credentials. Each runs as a child of a thread of its own, with a limit
//! of time and of output, and nothing of it outlives the limit, the wait for it, or Foil. See [`supervise`].

mod answer;
mod supervise;

pub use answer::Credential;

use super::{AccessError, files};
use base64::Engine as _;
use kube::config::{Cluster, ExecConfig, ExecInteractiveMode};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// The most that it may print.
const MAX_OUTPUT: usize = 1 << 20;
/// How long it may take to die.
const DIES: Duration = Duration::from_secs(3);
/// What a kubeconfig that names no version means.
const VERSION: &str = "client.authentication.k8s.io/v1";
/// The part of a cluster's extensions that is meant for plugins.
const EXTENSION: &str = "client.authentication.k8s.io/exec";

/// A plugin, ready to be asked.
#[derive(Debug, Clone)]
pub struct Plugin {
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    version: String,
    info: String,
    hint: Option<String>,
    limit: Duration,
}

impl Plugin {
    /// What a kubeconfig says of it; `roots` are the cluster's certificates in PEM.
    ///
    /// # Errors
    /// It names no program, or one that must have a terminal.
    pub fn new(exec: &ExecConfig, cluster: &Cluster, roots: &[Vec<u8>], limit: Duration) -> Result<Self, AccessError> {
        let program = exec
            .command
            .clone()
            .filter(|command| !command.is_empty())
            .ok_or_else(|| AccessError::Field { field: "exec: command", problem: "is missing".into() })?;
        if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
            return Err(AccessError::PluginInteractive(program));
        }
        let version = exec.api_version.clone().filter(|v| !v.is_empty()).unwrap_or_else(|| VERSION.into());
        let mut spec = json!({ "interactive": false });
        if exec.provide_cluster_info {
            spec = json!({ "interactive": false, "cluster": described(cluster, roots) });
        }
        let info = json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec }).to_string();
        let pair = |entry: &std::collections::HashMap<String, String>| {
            Some((entry.get("name")?.clone(), entry.get("value").cloned().unwrap_or_default()))
        };
        let env: Vec<_> = exec.env.iter().flatten().filter_map(pair).collect();
        let args = exec.args.clone().unwrap_or_default();
        let bad = |text: &str| text.contains('\0');
        if bad(&program)
            || bad(&info)
            || args.iter().any(|a| bad(a))
            || env.iter().any(|(n, v)| bad(n) || bad(v) || n.contains('=') || n.is_empty())
        {
            return Err(AccessError::Field {
                field: "exec",
                problem: "has arguments or variables that no program can be given".into(),
            });
        }
        Ok(Self { program, args, env, version, info, hint: exec.install_hint.clone(), limit })
    }

    /// Runs it once. Dropping the future ends it.
    ///
    /// # Errors
    /// It is not there, did not end in time, failed, or printed no credential.
    pub async fn ask(&self) -> Result<Credential, AccessError> {
        let gone = CancellationToken::new();
        let _guard = gone.clone().drop_guard();
        let (tell, told) = tokio::sync::oneshot::channel();
        let plugin = self.clone();
        // A thread of its own: starting a program blocks, and the kernel ends the supervisor with the thread that started it.
        let thread = std::thread::Builder::new().name("foil-plugin".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let answer = match runtime {
                Ok(runtime) => runtime.block_on(plugin.run(&gone)),
                Err(error) => Err(plugin.not_started(&error)),
            };
            let _ = tell.send(answer);
        });
        if let Err(error) = thread {
            return Err(self.not_started(&error));
        }
        // Its thread broke off.
        told.await.unwrap_or_else(|_| Err(self.answered("could not be read")))
    }

    async fn run(&self, gone: &CancellationToken) -> Result<Credential, AccessError> {
        let program = self.find()?;
        let mut command = Command::new(&program);
        // The name by which it was called: some programs are several.
        command.arg0(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(n, v)| (n, v))).env("KUBERNETES_EXEC_INFO", &self.info);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        supervise::under_supervisor(&mut command);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.missing(),
            _ => self.not_started(&error),
        })?;
        let stdout = child.stdout.take();
        let whole = async {
            let output = read(stdout).await?;
            let status = child.wait().await.map_err(|_| Trouble::Lost)?;
            Ok((output, status))
        };
        let ended = tokio::select! {
            ended = whole => ended,
            () = tokio::time::sleep(self.limit) => Err(Trouble::Slow),
            () = gone.cancelled() => Err(Trouble::Slow),
        };
        match ended {
            Ok((output, status)) if status.success() => {
                answer::read(&output, &self.version).map_err(|problem| self.answered(problem))
            }
            Ok((_, status)) => Err(AccessError::PluginFailed { program: self.program.clone(), how: words(status) }),
            Err(trouble) => {
                end(&mut child).await;
                Err(match trouble {
                    Trouble::Slow => AccessError::PluginSlow { program: self.program.clone(), limit: self.limit },
                    Trouble::TooMuch => self.answered("is larger than a mebibyte"),
                    Trouble::Lost => self.answered("could not be read"),
                })
            }
        }
    }

    /// The program: the path, or the first of its name in `PATH`.
    fn find(&self) -> Result<PathBuf, AccessError> {
        let named = Path::new(&self.program);
        let runnable = |path: &Path| {
            std::fs::metadata(path).ok().filter(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if self.program.contains('/') {
            let meta = runnable(named).ok_or_else(|| self.missing())?;
            files::trusted("the exec plugin", named, &meta)?;
            return Ok(named.to_owned());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Never one of the folder that Foil happens to be in.
        let found = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).find_map(|folder| {
            let path = folder.join(named);
            runnable(&path).map(|meta| (path, meta))
        });
        let (path, meta) = found.ok_or_else(|| self.missing())?;
        files::trusted_file("the exec plugin", &path, &meta)?;
        Ok(path)
    }

    fn missing(&self) -> AccessError {
        AccessError::PluginMissing { program: self.program.clone(), hint: self.hint.clone() }
    }

    fn not_started(&self, error: &std::io::Error) -> AccessError {
        AccessError::PluginStart { program: self.program.clone(), error: error.kind() }
    }

    fn answered(&self, problem: &'static str) -> AccessError {
        AccessError::PluginAnswer { program: self.program.clone(), problem }
    }
}

/// Why nothing was read of a plugin.
enum Trouble {
    Slow,
    TooMuch,
    Lost,
}

async fn read(stdout: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Trouble> {
    let mut output = Vec::new();
    let Some(stdout) = stdout else { return Ok(output) };
    let most = u64::try_from(MAX_OUTPUT).unwrap_or(u64::MAX).saturating_add(1);
    stdout.take(most).read_to_end(&mut output).await.map_err(|_| Trouble::Lost)?;
    if output.len() > MAX_OUTPUT { Err(Trouble::TooMuch) } else { Ok(output) }
}

/// Has the supervisor end the plugin.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
        // Not reaped yet, so that the number is nobody else's.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(DIES, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

fn words(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code @ 129..=192) => format!("killed by signal {}", code.saturating_sub(128)),
        Some(code) => format!("exit status {code}"),
        None => "killed".to_owned(),
    }
}

/// The cluster, as a plugin is told of it.
fn described(cluster: &Cluster, roots: &[Vec<u8>]) -> Value {
    let pem = |der: &Vec<u8>| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    let bundle: String = roots.iter().map(pem).collect();
    let data = (!bundle.is_empty()).then(|| base64::engine::general_purpose::STANDARD.encode(bundle));
    let config = cluster.extensions.iter().flatten().find(|e| e.name == EXTENSION).map(|e| e.extension.clone());
    let all = [
        ("server", cluster.server.clone().map(Value::from)),
        ("tls-server-name", cluster.tls_server_name.clone().map(Value::from)),
        ("insecure-skip-tls-verify", cluster.insecure_skip_tls_verify.map(Value::from)),
        ("certificate-authority-data", data.map(Value::from)),
        ("proxy-url", cluster.proxy_url.clone().map(Value::from)),
        ("config", config),
    ];
    Value::Object(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

#[cfg(test)]
mod tests;
