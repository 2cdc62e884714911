//! A call of `exec`.

use super::{Guest, RESULT};

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Command<'a> {
    /// The program.
    pub program: &'a str,
    /// Its arguments.
    pub args: Vec<&'a str>,
    /// Its environment.
    pub env: Vec<(&'a str, &'a str)>,
    /// Its working directory.
    pub cwd: Option<&'a str>,
}

impl<'a> Command<'a> {
    /// A program with arguments.
    pub fn new(program: &'a str, args: &[&'a str]) -> Self {
        Self { program, args: args.to_vec(), ..Self::default() }
    }

    /// The instructions that call it; the answer is at [`RESULT`].
    pub fn call(&self, guest: &mut Guest) -> String {
        let program = guest.text(self.program);
        let args: Vec<u32> = self.args.iter().flat_map(|a| guest.string(a)).collect();
        let args = guest.words(&args);
        let [env, variables] = guest.facts(&self.env);
        let cwd = match self.cwd {
            Some(cwd) => format!("(i32.const 1) {}", guest.text(cwd)),
            None => "(i32.const 0) (i32.const 0) (i32.const 0)".to_owned(),
        };
        format!(
            "(call $exec {program} (i32.const {args}) (i32.const {}) (i32.const {env}) (i32.const {variables}) \
             (i32.const 0) (i32.const 0) {cwd} (i32.const 0) (i32.const 0) (i32.const {RESULT}))",
            self.args.len()
        )
    }
}
