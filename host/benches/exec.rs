//! What a start of /bin/true costs in each level, beside a bare `posix_spawn` and wait, measured in one loop so that a
//! busy machine weighs on all alike. And, once per run, what setting the level up and closing it costs.

mod common;

use common::line;
use foil_manifest::{Network, ShieldLevel};
use foil_shield::{ChildLimits, ExecRequest, Launcher, RunSpec, ShieldedRun};
use foil_text::RunId;
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 1000;
const RUNS: usize = 30;
const TRUE: &std::ffi::CStr = c"/bin/true";

fn main() {
    // First: before the runtime's threads.
    let launcher = Launcher::start_with(&common::program()).expect("the launcher starts");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let work = runtime.spawn(measure(launcher));
    runtime.block_on(work).expect("the measurement ends");
}

async fn measure(launcher: Launcher) {
    let scratch = std::env::temp_dir().join(format!("foil-bench-{}", std::process::id()));
    std::fs::create_dir(&scratch).expect("a scratch folder");
    let mut runs: Vec<(ShieldLevel, ShieldedRun, Vec<Duration>)> = Vec::new();
    for level in ShieldLevel::ALL {
        match launcher.open(spec(level, &scratch)).await {
            Ok(run) => runs.push((level, run, Vec::new())),
            Err(error) => println!("{error}"),
        }
    }
    let mut bare = Vec::new();
    for round in 0..ROUNDS + 20 {
        let began = Instant::now();
        spawn_and_wait();
        let took = began.elapsed();
        // The first rounds warm caches.
        let counts = round >= 20;
        if counts {
            bare.push(took);
        }
        for (level, run, times) in &mut runs {
            let request = ExecRequest { program: "/bin/true".into(), ..Default::default() };
            let began = Instant::now();
            if let Err(error) = run.exec(request).await {
                panic!("{level}: {error}");
            }
            if counts {
                times.push(began.elapsed());
            }
        }
    }
    for (level, run, mut times) in runs {
        line(&format!("exec {level}"), &mut times, "posix_spawn", &mut bare);
        run.close().await.expect("the run closes");
        let (mut opened, mut closed) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let began = Instant::now();
            let run = launcher.open(spec(level, &scratch)).await.expect("as before");
            opened.push(began.elapsed());
            let began = Instant::now();
            run.close().await.expect("the run closes");
            closed.push(began.elapsed());
        }
        let name = format!("once per run {level}");
        line(&format!("{name}, open"), &mut opened, "posix_spawn", &mut bare);
        line(&format!("{name}, close"), &mut closed, "posix_spawn", &mut bare);
    }
    std::fs::remove_dir_all(&scratch).expect("the scratch folder goes");
}

fn spec(level: ShieldLevel, scratch: &Path) -> RunSpec {
    RunSpec {
        run: RunId::new(),
        level,
        network: Network::Loopback,
        identity: None,
        reads: Vec::new(),
        writes: Vec::new(),
        privileges: false,
        scratch: scratch.into(),
        limits: ChildLimits { processes: 64, memory: 4 << 30, file_size: 1 << 30, output: 1 << 20, overlay: 64 << 20 },
    }
}

fn spawn_and_wait() {
    let argv = [TRUE.as_ptr().cast_mut(), std::ptr::null_mut()];
    let env = [std::ptr::null_mut()];
    let (mut pid, mut status) = (0, 0);
    // SAFETY: both lists end with a null pointer and live across the call.
    let rc = unsafe {
        libc::posix_spawn(&raw mut pid, TRUE.as_ptr(), std::ptr::null(), std::ptr::null(), argv.as_ptr(), env.as_ptr())
    };
    assert_eq!(rc, 0);
    // SAFETY: waits for the child that was just made.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}
