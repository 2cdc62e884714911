use super::*;
use serde_json::json;

fn check(kind: ParameterType, value: &Value) -> Result<(), String> {
    Parameter::new(kind, "x").check(value)
}

#[test]
fn each_type_admits_its_values_and_no_others() {
    use ParameterType as T;
    for (kind, good, bad) in [
        (T::String, vec![json!(""), json!("a")], vec![json!(1), json!("a\0b"), json!("x".repeat(MAX_TEXT + 1))]),
        (T::Integer, vec![json!(-1)], vec![json!(1.5), json!("1")]),
        (T::Number, vec![json!(1), json!(1.5)], vec![json!("1.5")]),
        (T::Boolean, vec![json!(true)], vec![json!("yes")]),
        (T::Strings, vec![json!([]), json!(["a"])], vec![json!("a"), json!([1])]),
        (
            T::Fields,
            vec![json!(["a.b=c*", "x = y", "z="])],
            vec![json!(["a.b"]), json!(["=c"]), json!(["a!=c"]), json!(["a==c"])],
        ),
        (T::Pattern, vec![json!("a*")], vec![json!(" ")]),
        (
            T::PathPattern,
            vec![json!("/a"), json!("**/a"), json!("**")],
            vec![json!("uname"), json!(""), json!("*/a"), json!("?a")],
        ),
        (T::Path, vec![json!("/root")], vec![json!("root"), json!("/a/../b"), json!("/a//b"), json!("")]),
        (
            T::Tag,
            vec![json!("T1070.004"), json!("attack.t1070.004"), json!("mitre_*"), json!("T1086*"), json!("TA0005")],
            vec![json!("T1070.044"), json!("attack.t9999"), json!("")],
        ),
        (T::AttackId, vec![json!("T1059")], vec![json!("T1"), json!("T9999")]),
        (T::AttackIds, vec![json!(["T1059", "T1070.004"]), json!([])], vec![json!(["T9999"]), json!("T1059")]),
        (
            T::AtomicTest,
            vec![json!("812c3ab8-94b0-4698-A9BF-9420af23ce24")],
            vec![json!("812c3ab8"), json!("812c3ab8-94b0-4698-a9bf-9420af23ce2g"), json!("")],
        ),
        (T::Node, vec![json!("node-1.lan")], vec![json!("Node"), json!(""), json!("a/b"), json!("-a")]),
        (
            T::Selector,
            vec![json!("app.kubernetes.io/name=falco"), json!("a in (x, y),!b,c!=d,e==f"), json!("a=")],
            vec![json!(""), json!("a=b="), json!("a in x"), json!("=b"), json!("a,,b"), json!("a b")],
        ),
    ] {
        for value in good {
            assert_eq!(check(kind, &value), Ok(()), "{kind:?} {value}");
        }
        for value in bad {
            assert!(check(kind, &value).is_err(), "{kind:?} {value}");
        }
    }
}

#[test]
fn bounds_are_of_values_and_of_lengths() {
    let of = |kind, min: Option<i64>, max: Option<i64>| Parameter {
        min: min.map(Into::into),
        max: max.map(Into::into),
        ..Parameter::new(kind, "x")
    };
    let ports = of(ParameterType::Integer, Some(2), Some(1000));
    assert_eq!(ports.check(&json!(2)), Ok(()));
    assert_eq!(ports.check(&json!(1)), Err("it must be 2 to 1000".to_owned()));
    let text = of(ParameterType::String, Some(1), None);
    assert_eq!((text.check(&json!("é")), text.check(&json!(""))), (Ok(()), Err("it must not be empty".to_owned())));
    let few = of(ParameterType::Strings, None, Some(1));
    assert_eq!(few.check(&json!(["a", "b"])), Err("it must have at most 1 entries".to_owned()));
}
