//! Kubeconfig files, merged as `kubectl` merges them, and what a context of them chooses.

use super::AccessError;
use super::files::{self, Files, MAX_KUBECONFIG};
use foil_text::Shown as _;
use kube::config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What a context chooses.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The cluster.
    pub cluster: Cluster,
    /// The user; without any credentials where the kubeconfig has none of that name, as `kubectl` has it.
    pub user: AuthInfo,
}

/// Reads the files and finds the context in them. Blocks.
///
/// # Errors
/// A file cannot be read or parsed, or the context or its cluster is in none of them.
pub fn choose(files: &Files, context: &str) -> Result<Chosen, AccessError> {
    let (merged, seen) = merged(files)?;
    let found = merged.contexts.into_iter().find(|named| named.name == context).and_then(|named| named.context);
    let Some(found) = found else {
        return Err(AccessError::NoContext { context: context.to_owned(), files: seen });
    };
    let cluster = merged.clusters.into_iter().find(|named| named.name == found.cluster).and_then(|named| named.cluster);
    let Some(cluster) = cluster else {
        return Err(AccessError::NoCluster { context: context.to_owned(), cluster: found.cluster, files: seen });
    };
    let user = merged.auth_infos.into_iter().find(|named| Some(&named.name) == found.user.as_ref());
    Ok(Chosen { cluster, user: user.and_then(|named| named.auth_info).unwrap_or_default() })
}

/// All files together: the first to define a name wins. And the files in words.
fn merged(files: &Files) -> Result<(Kubeconfig, String), AccessError> {
    let mut all = Kubeconfig::default();
    let mut words = Vec::new();
    for path in &files.paths {
        let bytes = match files::read("the kubeconfig", path, MAX_KUBECONFIG) {
            Err(AccessError::Missing { .. }) if files.may_lack => {
                words.push(format!("{} (missing)", path.shown()));
                continue;
            }
            other => other?,
        };
        words.push(path.shown());
        let one = parse(path, &bytes)?;
        all = all.merge(one).map_err(|_| AccessError::Mismatch(path.clone()))?;
    }
    Ok((all, words.join(", ")))
}

/// Parses a file. Paths in it count from its own folder.
fn parse(path: &Path, bytes: &[u8]) -> Result<Kubeconfig, AccessError> {
    let text = text(bytes).ok_or_else(|| AccessError::NotText(path.to_owned()))?;
    let malformed = |place, panicked| AccessError::Malformed { path: path.to_owned(), place, panicked };
    // An empty file, and one of comments, says nothing.
    let parsed = catch_unwind(AssertUnwindSafe(|| Kubeconfig::from_yaml(&text)));
    let mut parsed = match parsed {
        Err(_) => return Err(malformed(None, true)),
        Ok(Err(KubeconfigError::Parse(error))) => {
            let place = error.location().map(|at| (at.line(), at.column()));
            return Err(malformed(place, false));
        }
        Ok(Err(_)) => return Err(malformed(None, false)),
        Ok(Ok(parsed)) => parsed,
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    for cluster in parsed.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        below(folder, &mut cluster.certificate_authority);
    }
    for user in parsed.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        for path in [&mut user.client_certificate, &mut user.client_key, &mut user.token_file] {
            below(folder, path);
        }
        // A name without a slash is looked for in PATH.
        if let Some(exec) = user.exec.as_mut().filter(|exec| exec.command.as_ref().is_some_and(|c| c.contains('/'))) {
            below(folder, &mut exec.command);
        }
    }
    Ok(parsed)
}

/// A relative path, made one below the folder. An empty one says nothing.
fn below(folder: &Path, path: &mut Option<String>) {
    *path = path.take().filter(|path| !path.is_empty()).map(|path| {
        let joined: PathBuf = folder.join(&path);
        joined.into_os_string().into_string().unwrap_or(path)
    });
}

/// The text of a file in UTF-8 or, as Windows' shells write it, UTF-16 with a mark.
fn text(bytes: &[u8]) -> Option<String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, odd) = rest.as_chunks::<2>();
        if !odd.is_empty() {
            return None;
        }
        String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn write(folder: &Path, files: &[(&str, &str)]) -> Files {
        let all = files.iter().map(|(name, text)| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        });
        Files { paths: all.collect(), may_lack: true }
    }

    const CONTEXT: &str = "contexts: [{name: staging, context: {cluster: c, user: u}}]\n";

    #[test]
    fn the_first_to_define_a_name_wins_and_missing_files_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = write(
            folder.path(),
            &[
                ("a", "current-context: prod\nusers: [{name: other, user: {token: no}}]\n"),
                ("empty", ""),
                (
                    "sub/b",
                    &format!(
                        "clusters: [{{name: c, cluster: {{server: 'https://b', certificate-authority: ca.crt}}}}]\n{CONTEXT}"
                    ),
                ),
                (
                    "c",
                    "users: [{name: u, user: {token: first}}]\nclusters: [{name: c, cluster: {server: 'https://c'}}]\n",
                ),
                ("d", "users: [{name: u, user: {token: second, username: x}}]\n"),
            ],
        );
        files.paths.insert(1, folder.path().join("gone"));
        let chosen = choose(&files, "staging").unwrap();
        assert_eq!(chosen.cluster.server.as_deref(), Some("https://b"));
        let ca = folder.path().join("sub/ca.crt");
        assert_eq!(chosen.cluster.certificate_authority.as_deref(), ca.to_str(), "from its own file");
        assert_eq!(chosen.user.token.map(|t| t.expose_secret().to_owned()).as_deref(), Some("first"));
        assert_eq!(chosen.user.username, None, "a second definition adds nothing");
        let error = choose(&files, "nowhere").unwrap_err().to_string();
        assert!(error.contains("`nowhere`") && error.contains("gone (missing)") && error.contains("sub/b"), "{error}");
        files.may_lack = false;
        assert!(matches!(choose(&files, "staging"), Err(AccessError::Missing { .. })));
    }

    #[test]
    fn of_a_malformed_file_only_the_place_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for bad in [
            "users:\n- name: u\n  user: {token: S3CR3T, token: S3CR3T2\n",
            "users:\n- name: u\n  user: S3CR3T\n",
            "S3CR3T",
            "users: [{name: u, user: {token: [S3CR3T]}}]",
            "users: &a [*a, S3CR3T]",
        ] {
            let files = write(folder.path(), &[("a", bad)]);
            let error = choose(&files, "staging").unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(matches!(error, AccessError::Malformed { .. }), "{bad}: {text}");
            assert!(!text.contains("S3CR3T") && text.contains("is not valid"), "{bad}: {text}");
        }
    }

    #[test]
    fn texts_of_other_encodings_are_read_and_halves_are_no_panic() {
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain("a: b".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(text(&wide).as_deref(), Some("a: b"));
        assert_eq!(text(&wide[..wide.len() - 1]), None);
        assert_eq!(text(b"\xef\xbb\xbfa").as_deref(), Some("a"));
        assert_eq!(text(b"\xff"), None);
    }
}
