//! A message of user space to the kernel's audit system, as `auditctl -m` sends one. It is recorded whatever the rules record, unless one
//! leaves such messages out.

use super::control::Control;

/// `AUDIT_USER`.
const AUDIT_USER: u16 = 1005;

/// Has the kernel record a text. Needs CAP_AUDIT_WRITE.
///
/// # Errors
/// A sentence: auditing is off, a rule leaves such messages out, or the kernel refuses.
pub fn say(text: &str) -> Result<(), String> {
    let control = Control::open().map_err(|error| error.to_string())?;
    let (status, rules) =
        control.status().and_then(|s| Ok((s, control.rules()?))).map_err(|error| error.to_string())?;
    if status.enabled == 0 {
        return Err("auditing is switched off in the kernel (auditctl -s: enabled 0)".to_owned());
    }
    if rules.iter().any(|rule| rule.hides(AUDIT_USER)) {
        return Err("an audit rule leaves messages of user space out (`user` or `exclude`)".to_owned());
    }
    let payload = [text.as_bytes(), b"\0"].concat();
    control.tell(AUDIT_USER, &payload).map_err(|error| error.to_string())
}
