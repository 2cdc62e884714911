//! How long `foil cleanup` takes for 10,000 file effects, beside a plain loop that restores the same files from copies in
//! memory: the same reads (a look before and after), writes, times and syncs (the file system, every 1024 files), and no
//! journal. `cargo bench --workspace --bench recovery [-- COUNT]`.

mod common;

use foil_journal::{Change, Journal, Learned, NoHost, Preimage, RunRecord, Scope};
use foil_record::UndoOutcome;
use foil_safe_path::{entry, look, open_parent, xattr};
use foil_text::RunId;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BEFORE: &[u8] = &[b'b'; 2048];
const AFTER: &[u8] = &[b'a'; 2048];
const ROUNDS: usize = 2;

fn main() {
    let count = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(10_000);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(plain(count));
        ours.push(journaled(count));
    }
    // The best of few rounds: what else the disk does comes on top.
    let (ours, theirs) = (ours.into_iter().min(), theirs.into_iter().min());
    let name = format!("recovery of {count} file effects");
    common::line(&name, &mut Vec::from_iter(ours), "plain loop", &mut Vec::from_iter(theirs));
}

fn files(folder: &Path, count: usize) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = (0..count).map(|n| folder.join(format!("file{n}"))).collect();
    files.iter().for_each(|path| fs::write(path, BEFORE).expect("a file"));
    files
}

/// Looks, restores in place, looks again; in batches as the journal does.
fn plain(count: usize) -> Duration {
    let dir = tempfile::tempdir().expect("a folder");
    let files = files(&dir.path().canonicalize().expect("its path"), count);
    let kept: Vec<(PathBuf, Preimage, fs::FileTimes)> = files
        .into_iter()
        .map(|path| {
            let meta = fs::metadata(&path).expect("its times");
            let times = fs::FileTimes::new()
                .set_accessed(meta.accessed().expect("a time"))
                .set_modified(meta.modified().expect("a time"));
            let (preimage, _) = Preimage::take(&path).expect("a pre-image");
            fs::write(&path, AFTER).expect("a change");
            (path, preimage, times)
        })
        .collect();
    rustix::fs::sync();
    let start = Instant::now();
    for batch in kept.chunks(1024) {
        for (path, preimage, times) in batch {
            let glance = || {
                let (folder, name) = open_parent(path).expect("its folder");
                let held = entry(folder.as_fd(), name, path).expect("the file").expect("the file");
                (look(&held, path).expect("a look"), xattr::read(&held, path).expect("attributes"))
            };
            assert_eq!(glance().0.content, AFTER);
            let file = File::options().write(true).open(path).expect("the file");
            file.write_all_at(&preimage.content, 0).expect("its content");
            file.set_len(preimage.content.len() as u64).expect("its length");
            file.set_times(*times).expect("its times");
            assert_eq!(glance().0.fingerprint, preimage.before);
        }
        rustix::fs::syncfs(File::open(dir.path()).expect("the folder")).expect("a sync");
    }
    start.elapsed()
}

/// The same files through the journal: a run that wrote them all and died.
fn journaled(count: usize) -> Duration {
    let dir = tempfile::tempdir().expect("a folder");
    let base = dir.path().canonicalize().expect("its path");
    fs::create_dir(base.join("work")).expect("a folder");
    let files = files(&base.join("work"), count);
    let journal = Journal::open(&base.join("state")).expect("a journal");
    let run = journal.begin(&record()).expect("a run");
    for path in &files {
        let (preimage, _) = Preimage::take(path).expect("a pre-image");
        let what = format!("write {}", path.display());
        let id =
            run.intend_with_preimage("files-write", &what, path, &preimage, Change::Replace(AFTER)).expect("intent");
        fs::write(path, AFTER).expect("a change");
        let learned = foil_safe_path::fingerprint(path).expect("a fingerprint");
        run.applied(id, Learned::File(learned.as_ref())).expect("a mark");
    }
    drop(run);
    rustix::fs::sync();
    let start = Instant::now();
    let reports = journal.recover(Scope::Dead, &NoHost, &mut |_, _| {}).expect("a recovery");
    let took = start.elapsed();
    let undone = reports.iter().flat_map(|r| &r.effects).filter(|(_, o)| *o == UndoOutcome::Undone).count();
    assert_eq!(undone, count, "everything is undone");
    assert!(files.iter().all(|path| fs::read(path).is_ok_and(|content| content == BEFORE)));
    took
}

fn record() -> RunRecord {
    let text = || "bench".to_string();
    RunRecord {
        run: RunId::new(),
        started: foil_journal::now(),
        experiment: text(),
        technique: text(),
        digest: text(),
        environment: text(),
        target: text(),
        shield: text(),
        pid: std::process::id(),
    }
}
