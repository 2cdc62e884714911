//! Secrets in events of a Kubernetes API server's audit: taken out where the event enters, before anything matches, keeps or shows it.
//!
//! A request's command line and the objects of requests and answers may hold tokens and passwords. What is replaced is the value;
//! the flag, the key and the rest stay, so that rules about them go on matching.

use regex::{Captures, Regex};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::LazyLock;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// Names of flags, variables and keys whose values are secrets.
const WORDS: [&str; 10] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "api-key",
    "access-key",
    "private-key",
    "credential",
];
/// Ends of names that hold one of those and say where something is, or how long.
const HARMLESS: [&str; 12] =
    ["file", "path", "dir", "name", "url", "ttl", "type", "audience", "duration", "seconds", "ref", "reviews"];

/// Takes the secrets out of an event, if it is one of a Kubernetes API server's audit. Whether anything was taken out.
pub fn audit(event: &mut Value) -> bool {
    let said = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    if said("kind") != "Event" || !said("apiVersion").starts_with("audit.k8s.io/") {
        return false;
    }
    let resource = event.pointer("/objectRef/resource").and_then(Value::as_str).unwrap_or_default();
    let subresource = event.pointer("/objectRef/subresource").and_then(Value::as_str).unwrap_or_default();
    let of_secret = resource == "secrets" || subresource == "token";
    let mut changed = false;
    if let Some(Value::String(uri)) = event.get_mut("requestURI")
        && let Some(clean) = query(uri)
    {
        *uri = clean;
        changed = true;
    }
    for name in ["requestObject", "responseObject"] {
        if let Some(object) = event.get_mut(name) {
            changed |= of_object(object, of_secret);
        }
    }
    for name in ["annotations", "responseStatus", "userAgent"] {
        if let Some(value) = event.get_mut(name) {
            changed |= texts(value);
        }
    }
    changed
}

/// What is kept of the beginning of a line that may be such an event and is not whole: nothing from where secrets may stand.
pub fn torn(line: &[u8]) -> &[u8] {
    let at = |what: &[u8]| line.windows(what.len()).position(|window| window == what);
    if at(b"audit.k8s.io/").is_none() {
        return line;
    }
    let end =
        [&b"requestURI"[..], b"requestObject", b"responseObject", b"annotations"].into_iter().filter_map(at).min();
    line.get(..end.unwrap_or(line.len())).unwrap_or(line)
}

/// An object of a request or an answer, or a patch. `secret`: it is one whatever it says of itself.
fn of_object(object: &mut Value, secret: bool) -> bool {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut changed = false;
    if secret || matches!(kind.as_str(), "Secret" | "SecretList") {
        changed |= of_secret(object);
    }
    if secret
        || matches!(
            kind.as_str(),
            "TokenRequest" | "TokenReview" | "CertificateSigningRequest" | "CertificateSigningRequestList"
        )
    {
        changed |= credentials(object);
    }
    if let Some(Value::Array(items)) = object.get_mut("items") {
        // An item of a typed list need not say what it is; one of `List` may be anything.
        let of_list = kind.trim_end_matches("List").to_owned();
        for item in items {
            changed |= match of_list.as_str() {
                "Secret" => of_object(item, true),
                "CertificateSigningRequest" | "TokenRequest" | "TokenReview" => {
                    credentials(item) | of_object(item, secret)
                }
                _ => of_object(item, secret),
            };
        }
    }
    changed | texts(object)
}

/// Programs that take a password right behind `-p`.
const ATTACHED: [&str; 5] = ["mysql", "mysqldump", "mysqladmin", "mariadb", "sshpass"];

/// Where an argument of a program is a password behind its short flag: the flag.
fn attached(program: &str, argument: &str) -> Option<&'static str> {
    let name = program.rsplit('/').next().unwrap_or_default();
    let takes = ATTACHED.iter().any(|known| name.starts_with(known));
    (takes && argument.starts_with("-p") && argument.len() > 2).then_some("-p")
}

/// The values of a Secret, of a merge patch of one, and of a JSON patch of one.
fn of_secret(object: &mut Value) -> bool {
    let mut changed = false;
    match object {
        Value::Array(operations) => {
            for value in operations.iter_mut().filter_map(|operation| operation.get_mut("value")) {
                changed |= blot(value);
            }
        }
        Value::Object(fields) => {
            for name in ["data", "stringData"] {
                changed |= fields.get_mut(name).is_some_and(blot);
            }
            // `kubectl apply` keeps a copy of the whole object there.
            let copy = fields.get_mut("metadata").and_then(|m| m.get_mut("annotations"));
            let copy =
                copy.and_then(|annotations| annotations.get_mut("kubectl.kubernetes.io/last-applied-configuration"));
            changed |= copy.is_some_and(blot);
        }
        _ => {}
    }
    changed
}

/// Tokens and certificates that were asked for or issued.
fn credentials(object: &mut Value) -> bool {
    let mut changed = false;
    for pointer in ["/status/token", "/spec/token", "/spec/request", "/status/certificate"] {
        changed |= object.pointer_mut(pointer).is_some_and(blot);
    }
    changed
}

/// Replaces every text below.
fn blot(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text == REDACTED => false,
        Value::String(text) => {
            *text = REDACTED.to_owned();
            true
        }
        Value::Array(values) => values.iter_mut().fold(false, |changed, value| blot(value) | changed),
        Value::Object(values) => values.values_mut().fold(false, |changed, value| blot(value) | changed),
        Value::Null => false,
        other => {
            *other = REDACTED.into();
            true
        }
    }
}

/// Replaces what looks like a secret in any text below: arguments, variables, and values under a name that says so.
fn texts(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match line(text) {
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Array(values) => {
            let mut changed = false;
            let mut flag = false;
            let program = values.first().and_then(Value::as_str).unwrap_or_default().to_owned();
            for value in values {
                let is_flag = value.as_str().is_some_and(takes_a_secret);
                let short = value.as_str().and_then(|argument| attached(&program, argument));
                changed |= match short {
                    Some(short) => {
                        *value = format!("{short}{REDACTED}").into();
                        true
                    }
                    None if flag && value.is_string() => blot(value),
                    None => texts(value),
                };
                flag = is_flag;
            }
            changed
        }
        Value::Object(fields) => {
            // A variable of a container: `name` says what `value` is.
            let named = fields.get("name").and_then(Value::as_str).is_some_and(is_secret);
            let mut changed = named && fields.get_mut("value").is_some_and(blot);
            for (name, value) in fields.iter_mut() {
                changed |= if value.is_string() && is_secret(name) { blot(value) } else { texts(value) };
            }
            changed
        }
        _ => false,
    }
}

/// The URI with its query's secrets replaced; `None`: there are none.
fn query(uri: &str) -> Option<String> {
    let (path, query) = uri.split_once('?')?;
    let mut changed = false;
    let mut flag = false;
    let mut program = None;
    let mut parts = Vec::new();
    for part in query.split('&') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let plain = decode(value);
        let of_program = program.clone().filter(|_| name == "command");
        let short = of_program.and_then(|program: String| attached(&program, &plain));
        let clean = match short {
            Some(short) => Cow::Owned(format!("{short}{REDACTED}")),
            None if (flag && name == "command") || is_secret(name) => Cow::Borrowed(REDACTED),
            None => line(&plain),
        };
        if name == "command" && program.is_none() {
            program = Some(plain.clone());
        }
        // The arguments of one program, in order.
        flag = name == "command" && takes_a_secret(&plain);
        if clean == plain {
            parts.push(part.to_owned());
        } else {
            changed = true;
            parts.push(format!("{name}={}", encode(&clean)));
        }
    }
    changed.then(|| format!("{path}?{}", parts.join("&")))
}

fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
        bytes.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encode(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// The name of a flag, a variable or a key whose value is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
    // As a header; the API server's own annotations begin with the word.
    name == "authorization"
        || WORDS.iter().any(|word| name.contains(word)) && !HARMLESS.iter().any(|end| name.ends_with(end))
}

/// An argument after which a secret comes.
fn takes_a_secret(argument: &str) -> bool {
    matches!(argument, "-u" | "--user") || (argument.starts_with('-') && !argument.contains('=') && is_secret(argument))
}

static PATTERNS: LazyLock<[Option<Regex>; 4]> = LazyLock::new(|| {
    [
        // A JSON web token.
        r"()eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,2}",
        r"(?i)((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}",
        // User and password of a URL.
        r"(://)[^/\s@]+@",
        r#"(?i)(--?[a-z0-9_.-]+[= ]|\b[a-z0-9_.-]+=|"[a-z0-9_.-]+"\s*:\s*"|\b[a-z0-9_-]+:\s+)[^\s"'&]+"#,
    ]
    .map(|pattern| Regex::new(pattern).ok())
});

/// A line with its secrets replaced.
fn line(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for (index, pattern) in PATTERNS.iter().enumerate() {
        let Some(pattern) = pattern else { continue };
        let replaced = pattern.replace_all(&clean, |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |whole| whole.as_str());
            let kept = found.get(1).map_or("", |kept| kept.as_str());
            let name = kept.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            // The last is of any name: only some hold secrets.
            if (index == 3 && !is_secret(name)) || whole.ends_with(REDACTED) {
                whole.to_owned()
            } else {
                format!("{kept}{REDACTED}{}", if index == 2 { "@" } else { "" })
            }
        });
        if replaced != clean {
            clean = Cow::Owned(replaced.into_owned());
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(more: Value) -> Value {
        let mut event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "create"});
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        event
    }

    fn clean(more: Value) -> Value {
        let mut event = event(more);
        audit(&mut event);
        assert!(!event.to_string().contains("S3CR3T"), "{event}");
        event
    }

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJTM0NSM1QifQ.S3CR3T";

    #[test]
    fn command_lines_lose_their_secrets_and_keep_their_flags() {
        for query in [
            "command=%2Fopt%2Fx&command=--token%3DS3CR3T-FLD&container=c&stdout=true",
            "command=x&command=--password&command=S3CR3T&stdout=true",
            "command=mysql&command=-pS3CR3T&command=-uann",
            "command=%2Fusr%2Fbin%2Fmysqldump&command=x&command=-pS3CR3T",
            "command=x&command=-u&command=ann:S3CR3T",
            "command=sh&command=-c&command=curl%20-H%20%22Authorization:%20Bearer%20S3CR3T-FLD%22+https://a",
            "command=sh&command=-c&command=DB_PASSWORD%3DS3CR3T+run",
            "command=sh&command=-c&command=psql%20postgres://ann:S3CR3T@db/x",
            "command=sh&command=-c&command=x%20--api-key%20S3CR3T%20--out%20y",
            "token=S3CR3T&x=1",
            "access_token=S3CR3T",
        ] {
            let event = clean(json!({"requestURI": format!("/api/v1/namespaces/t/pods/p/exec?{query}")}));
            assert!(event["requestURI"].as_str().unwrap().starts_with("/api/v1/namespaces/t/pods/p/exec?"), "{event}");
        }
        let uri = format!("/x?command={JWT}&container=c");
        assert_eq!(clean(json!({"requestURI": uri}))["requestURI"], "/x?command=%5Bredacted%5D&container=c");
        let kept = "/x?command=cat&command=--token-file=/var/run/token&command=a%3Db&labelSelector=a%3Db&limit=5";
        let mut plain = event(json!({"requestURI": kept}));
        assert!(!audit(&mut plain) && plain["requestURI"] == kept);
        let flag = clean(json!({"requestURI": "/x?command=--token%3DS3CR3T"}));
        assert_eq!(flag["requestURI"], "/x?command=--token%3D%5Bredacted%5D");
    }

    #[test]
    fn objects_lose_their_values() {
        let secrets = json!({"resource": "secrets"});
        for more in [
            json!({"objectRef": secrets, "requestObject": {"kind": "Secret", "data": {"a": "S3CR3T"}, "stringData": {"b": "S3CR3T"},
                "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"a\":\"S3CR3T\"}}"}}}}),
            json!({"objectRef": secrets, "requestObject": {"data": {"a": "S3CR3T"}}}),
            json!({"objectRef": secrets, "requestObject": {"kind": "List", "items": [{"data": {"a": "S3CR3T"}}]}}),
            json!({"requestObject": {"kind": "List", "items": [{"kind": "Secret", "data": {"a": "S3CR3T"}}]}}),
            json!({"requestObject": {"kind": "List", "items": [{"kind": "List", "items": [{"kind": "Secret", "data": {"a": "S3CR3T"}}]}]}}),
            json!({"responseObject": {"kind": "SecretList", "items": [{"stringData": {"a": "S3CR3T"}}]}}),
            json!({"requestObject": {"kind": "Pod", "spec": {"containers": [{"command": ["mysql", "-pS3CR3T"]}]}}}),
            json!({"objectRef": secrets, "requestObject": [{"op": "add", "path": "/data/a", "value": "S3CR3T"}]}),
            json!({"objectRef": secrets, "responseObject": {"kind": "SecretList", "items": [{"data": {"a": "S3CR3T"}}]}}),
            json!({"responseObject": {"kind": "Secret", "data": {"a": "S3CR3T"}}}),
            json!({"objectRef": {"resource": "serviceaccounts", "subresource": "token"}, "responseObject": {"kind": "TokenRequest", "status": {"token": JWT}}}),
            json!({"requestObject": {"kind": "TokenReview", "spec": {"token": "S3CR3T"}}}),
            json!({"responseObject": {"kind": "CertificateSigningRequest", "spec": {"request": "S3CR3T"}, "status": {"certificate": "S3CR3T"}}}),
            json!({"requestObject": {"kind": "Pod", "spec": {"containers": [{"args": ["--token=S3CR3T", "--password", "S3CR3T"],
                "env": [{"name": "DB_PASSWORD", "value": "S3CR3T"}]}]}}}),
            json!({"responseObject": {"kind": "ConfigMap", "data": {"a": JWT, "password": "S3CR3T"}}}),
            json!({"annotations": {"a": format!("Bearer {JWT}")}}),
        ] {
            clean(more);
        }
        let names =
            clean(json!({"objectRef": secrets, "requestObject": {"kind": "Secret", "data": {"key-of-it": "S3CR3T"}}}));
        assert_eq!(names["requestObject"]["data"]["key-of-it"], REDACTED, "its name stays");
    }

    #[test]
    fn of_a_torn_line_nothing_is_kept_that_may_be_secret() {
        let line =
            br#"2026-11-28 F {"kind":"Event","apiVersion":"audit.k8s.io/v1","requestObject":{"data":{"a":"S3CR3T"#;
        assert_eq!(torn(line), &br#"2026-11-28 F {"kind":"Event","apiVersion":"audit.k8s.io/v1",""#[..]);
        assert_eq!(torn(b"requestURI=/x"), b"requestURI=/x");
    }

    #[test]
    fn other_events_and_harmless_ones_are_left_alone() {
        let mut other = json!({"kind": "Alert", "token": "x"});
        assert!(!audit(&mut other));
        let mut pod = event(
            json!({"objectRef": {"resource": "pods"}, "requestURI": "/api/v1/namespaces/t/pods?limit=5",
            "requestObject": {"kind": "Pod", "spec": {"containers": [{"image": "a:1", "command": ["sh", "-c", "id"], "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"mountPath": "/x", "name": "secret-volume"}]}], "serviceAccountName": "x", "automountServiceAccountToken": false}},
            "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}}),
        );
        let before = pod.clone();
        assert!(!audit(&mut pod), "{pod}");
        assert_eq!(pod, before);
    }
}
