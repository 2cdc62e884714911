//! One test.

use super::fields::{Fields, Text, list, map, place, text};
use super::tree::{Node, Value};
use super::{Mistake, Runner, Test, mistake};
use crate::{Argument, Dependency, Kind, Shell};
use std::collections::BTreeMap;

const PLATFORMS: [&str; 13] = [
    "windows",
    "macos",
    "linux",
    "office-365",
    "azure-ad",
    "google-workspace",
    "saas",
    "iaas",
    "containers",
    "iaas:gcp",
    "iaas:azure",
    "iaas:aws",
    "esxi",
];

pub(super) fn test(node: Node, number: u32) -> Result<Test, Mistake> {
    let mut fields = Fields::of(
        node,
        "a test",
        &[
            "name",
            "auto_generated_guid",
            "description",
            "supported_platforms",
            "input_arguments",
            "dependency_executor_name",
            "dependencies",
            "executor",
        ],
    )?;
    let name = fields.text("name")?.value;
    named(fields, number, &name)
        .map_err(|wrong| Mistake { what: format!("test {number}, `{name}`: {}", wrong.what), ..wrong })
}

fn named(mut fields: Fields, number: u32, name: &str) -> Result<Test, Mistake> {
    let mut warnings = Vec::new();
    let mut warn = |(line, column): (u64, u64), what: String| {
        warnings.push(Mistake { line, column, what: format!("test {number}, `{name}`: {what}") });
    };
    let description = fields.text("description")?.value;
    let platforms = platforms(fields.need("supported_platforms")?)?;
    let guid = fields.optional("auto_generated_guid")?.map(guid).transpose()?;
    let dependency_executor = fields.take("dependency_executor_name").map(runner).transpose()?;
    let mut executor = Fields::of(
        fields.need("executor")?,
        "`executor`",
        &["name", "command", "cleanup_command", "steps", "elevation_required"],
    )?;
    let runner = runner(executor.need("name")?)?;
    let (its, others) = if runner == Runner::Manual {
        ("steps", &["command", "cleanup_command"][..])
    } else {
        ("command", &["steps"][..])
    };
    let command = executor.text(its)?;
    let cleanup = if runner == Runner::Manual { None } else { executor.optional("cleanup_command")? };
    for other in others {
        if let Some(node) = executor.given(other) {
            warn(place(&node), format!("`{other}` is not for an executor `{runner}`, and is not used"));
        }
    }
    let elevation = executor.flag("elevation_required")?;
    let mut scripts = vec![command];
    scripts.extend(cleanup);
    let sudo = scripts.iter().find(|script| script.value.contains("sudo"));
    if let Some(script) = sudo.filter(|_| !elevation && matches!(runner, Runner::Shell(_))) {
        warn(script.place, "it uses `sudo` and does not say `elevation_required: true`".to_owned());
    }
    let mut used: Vec<Text> = Vec::new();
    let dependencies = dependencies(fields.given("dependencies"), &mut used)?;
    if dependency_executor.is_some() && dependencies.is_empty() {
        warn(fields.place, "`dependency_executor_name` without `dependencies` says nothing".to_owned());
    }
    let (arguments, places) = arguments(fields.take("input_arguments"))?;
    for script in scripts.iter().chain(&used) {
        if let Some(missing) = placeholders(&script.value).find(|name| !arguments.contains_key(*name)) {
            let what =
                format!("`#{{{missing}}}` is used and is not among the `input_arguments`: declare it or mend its name");
            return mistake(script.place, what);
        }
    }
    for (name, place) in places {
        if !scripts.iter().chain(&used).any(|script| placeholders(&script.value).any(|used| used == name)) {
            warn(place, format!("the argument `{name}` is not used in any script"));
        }
    }
    let mut scripts = scripts.into_iter().map(|script| script.value);
    Ok(Test {
        number,
        line: fields.place.0,
        name: name.to_owned(),
        description,
        platforms,
        guid,
        arguments,
        dependencies,
        dependency_executor: dependency_executor.unwrap_or(runner),
        executor: runner,
        elevation,
        command: scripts.next().unwrap_or_default(),
        cleanup: scripts.next(),
        warnings,
    })
}

fn platforms(node: Node) -> Result<Vec<String>, Mistake> {
    let at = place(&node);
    let mut platforms = Vec::new();
    for item in list(node, "supported_platforms")? {
        let platform = text(item, "supported_platforms")?;
        if !PLATFORMS.contains(&platform.value.as_str()) {
            let what = format!("`{}` is no platform: {}", platform.value, PLATFORMS.join(", "));
            return mistake(platform.place, what);
        }
        platforms.push(platform.value);
    }
    if platforms.is_empty() { mistake(at, "`supported_platforms` is empty") } else { Ok(platforms) }
}

fn guid(text: Text) -> Result<String, Mistake> {
    let parts: Vec<&str> = text.value.split('-').collect();
    let hex = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex && parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) {
        return Ok(text.value.to_ascii_lowercase());
    }
    mistake(text.place, format!("`{}` is no GUID: 32 hexadecimal digits as 8-4-4-4-12", text.value))
}

fn runner(node: Node) -> Result<Runner, Mistake> {
    let at = place(&node);
    match &node.value {
        Value::Text(name) => match name.as_str() {
            "sh" => Ok(Runner::Shell(Shell::Sh)),
            "bash" => Ok(Runner::Shell(Shell::Bash)),
            "powershell" => Ok(Runner::Powershell),
            "command_prompt" => Ok(Runner::CommandPrompt),
            "manual" => Ok(Runner::Manual),
            other => mistake(at, format!("`{other}` is no executor: sh, bash, powershell, command_prompt, manual")),
        },
        _ => mistake(at, "an executor's name is sh, bash, powershell, command_prompt or manual"),
    }
}

fn dependencies(node: Option<Node>, scripts: &mut Vec<Text>) -> Result<Vec<Dependency>, Mistake> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let mut dependencies = Vec::new();
    for item in list(node, "dependencies")? {
        let mut fields = Fields::of(item, "a dependency", &["description", "prereq_command", "get_prereq_command"])?;
        let description = fields.text("description")?.value;
        let check = fields.text("prereq_command")?;
        let obtain = fields.optional("get_prereq_command")?;
        let obtained = obtain.as_ref().map(|text| text.value.clone());
        dependencies.push(Dependency { description, check: check.value.clone(), obtain: obtained });
        scripts.push(check);
        scripts.extend(obtain);
    }
    Ok(dependencies)
}

type Places = Vec<(String, (u64, u64))>;

fn arguments(node: Option<Node>) -> Result<(BTreeMap<String, Argument>, Places), Mistake> {
    let (mut arguments, mut places) = (BTreeMap::new(), Vec::new());
    for (key, value) in node.map(|node| map(node, "`input_arguments`")).transpose()?.unwrap_or_default() {
        let at = (key.referenced.line(), key.referenced.column());
        let name = key.value;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if !(2..=64).contains(&name.chars().count()) || !name.chars().all(plain) {
            let what = format!("`{name}` is no argument's name: 2 to 64 letters, digits, `_` and `-`");
            return mistake(at, what);
        }
        let argument = argument(value, &name)?;
        if arguments.insert(name.clone(), argument).is_some() {
            return mistake(at, format!("the argument `{name}` is declared twice: leave one"));
        }
        places.push((name, at));
    }
    Ok((arguments, places))
}

fn argument(node: Node, name: &str) -> Result<Argument, Mistake> {
    let mut fields = Fields::of(node, "an argument", &["description", "type", "default"])?;
    // Their validator takes an empty one.
    let description = text(fields.need("description")?, "description")?.value;
    let kind = fields.text("type")?;
    let kind = match kind.value.to_ascii_lowercase().as_str() {
        "path" => Kind::Path,
        "url" => Kind::Url,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "float" => Kind::Float,
        _ => {
            let what = format!("`{}` is no type: path, url, string, integer or float", kind.value);
            return mistake(kind.place, what);
        }
    };
    let Some(node) = fields.take("default") else { return Ok(Argument { description, kind, default: None }) };
    let at = place(&node);
    let default = match node.value {
        Value::Null => String::new(),
        Value::Text(value) | Value::Plain(value) => {
            kind.takes(&value).or_else(|why| mistake(at, format!("the default of `{name}`: {why}")))?;
            value
        }
        _ => return mistake(at, format!("the default of `{name}` is a text, a number, a boolean or null")),
    };
    Ok(Argument { description, kind, default: Some(default) })
}

/// The names in `#{…}`, on one line each, as Atomic Red Team's validator finds them.
fn placeholders(script: &str) -> impl Iterator<Item = &str> {
    script.lines().flat_map(|line| line.split("#{").skip(1).filter_map(|after| Some(after.split_once('}')?.0)))
}
