//! A file of `--output`: where, and in which format.

use clap::ValueEnum as _;
use clap::builder::{OsStringValueParser, TypedValueParser};
use foil_report::Format;
use foil_text::{Shown as _, suggest};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A file that reports are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Its format; that of `--format` where none is named.
    pub format: Option<Format>,
    /// The file.
    pub path: PathBuf,
}

/// Parses `FILE` and `FORMAT=FILE` on the command line.
pub fn parser() -> impl TypedValueParser<Value = ReportFile> {
    OsStringValueParser::new().try_map(|text| parse(&text))
}

/// What stands before the first `=` must be a format, in either case, unless it has something but letters in it, such as `./a=b` or
/// `a.b=c`.
fn parse(text: &OsString) -> Result<ReportFile, String> {
    let bytes = text.as_bytes();
    let plain = || Ok(ReportFile { format: None, path: text.into() });
    let Some(at) = bytes.iter().position(|byte| *byte == b'=') else { return plain() };
    let (word, path) = (bytes.get(..at).unwrap_or_default(), bytes.get(at.saturating_add(1)..).unwrap_or_default());
    let word = match std::str::from_utf8(word) {
        Ok(word) if word.bytes().all(|byte| byte.is_ascii_alphabetic()) => word,
        _ => return plain(),
    };
    if word.is_empty() {
        let shown = Path::new(text).shown();
        return Err(format!("name the format before `=`; a file of that name is `./{shown}`"));
    }
    let Ok(format) = Format::from_str(word, true) else {
        let names: Vec<String> = Format::value_variants()
            .iter()
            .filter_map(|f| Some(f.to_possible_value()?.get_name().to_owned()))
            .collect();
        let hint = suggest::hint(word, names.iter().map(String::as_str));
        let shown = Path::new(text).shown();
        return Err(format!(
            "`{word}` is not a format{hint}: use one of {}; a file of that name is `./{shown}`",
            names.join(", ")
        ));
    };
    if path.is_empty() {
        return Err(format!("name the file behind `{word}=`"));
    }
    Ok(ReportFile { format: Some(format), path: OsStr::from_bytes(path).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_may_stand_before_the_file() {
        let read = |text: &str| parse(&text.into()).map(|file| (file.format, file.path.to_str().unwrap().to_owned()));
        for (text, format, path) in [
            ("report.json", None, "report.json"),
            ("json=report.json", Some(Format::Json), "report.json"),
            ("junit=a=b.xml", Some(Format::Junit), "a=b.xml"),
            ("./json=x", None, "./json=x"),
            ("a/b=c", None, "a/b=c"),
            ("JSON=x", Some(Format::Json), "x"),
            ("./=x", None, "./=x"),
        ] {
            assert_eq!(read(text), Ok((format, path.to_owned())), "{text}");
        }
        for (text, word) in [
            ("jsno=x", "do you mean `json`?"),
            ("xml=r.xml", "./xml=r.xml"),
            ("json=", "behind `json=`"),
            ("=x", "`./=x`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
