//! A module written by hand: a few lines of WebAssembly text in a frame that speaks the canonical ABI.

use foil_manifest::{Kind, Manifest, section};
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where host calls and exports put their results: 128 bytes, aligned to 8.
pub const RESULT: u32 = 512;

/// The first byte of a module's own data.
const DATA: usize = 4096;

/// Host functions as the canonical ABI lowers them: what modules here call them by, interface, name, core type.
const HOST: [(&str, &str, &str, &str); 13] = [
    ("log", "log", "write", "(param i32 i32 i32 i32)"),
    ("now", "clock", "now", "(param i32)"),
    ("exec", "exec", "run", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("read", "files-read", "read", "(param i32 i32 i64 i32 i32)"),
    ("stat", "files-read", "stat", "(param i32 i32 i32)"),
    ("entries", "files-read", "entries", "(param i32 i32 i32)"),
    ("write", "files-write", "write", "(param i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("remove", "files-write", "remove", "(param i32 i32 i32)"),
    ("publish", "loopback-serve", "publish", "(param i32 i32 i32 i32 i32)"),
    ("events", "events-read", "read", "(param i32 i32 i64 i32 i32)"),
    ("random", "wasi:random/random@0.2.0", "get-random-u64", "(result i64)"),
    ("stdout", "wasi:cli/stdout@0.2.0", "get-stdout", "(result i32)"),
    ("print", "wasi:io/streams@0.2.0", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)"),
];

/// What a technique in a language that cannot do without WASI imports.
const WASI: [&str; 3] = [
    "package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }",
    "package wasi:io@0.2.0;
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
    }",
    "package wasi:cli@0.2.0;
    interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }",
];
const INERT: &str = "package foil:inert; world inert { import wasi:random/random@0.2.0; import wasi:cli/stdout@0.2.0; export \
    foil:host/detonation@0.1.0; }";

/// A check that would like to act: no world of the contract has it.
const GREEDY: &str =
    "package foil:hostile; world greedy { import foil:host/exec@0.1.0; export foil:host/probing@0.1.0; }";

/// A module in the making.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its id, and its file's name.
    pub id: String,
    kind: Kind,
    manifest: String,
    data: Vec<u8>,
    fields: String,
    warmup: String,
    act: String,
    realloc: Option<String>,
    memory: Option<String>,
}

impl Guest {
    /// A technique that does nothing, and says so.
    pub fn technique(id: &str) -> Self {
        Self::new(id, Kind::Technique, "(call $done)")
    }

    /// A check that sees nothing.
    pub fn check(id: &str) -> Self {
        Self::new(id, Kind::Check, "(call $nothing)")
    }

    fn new(id: &str, kind: Kind, act: &str) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            manifest: String::new(),
            data: Vec::new(),
            fields: String::new(),
            warmup: "(call $ready)".to_owned(),
            act: act.to_owned(),
            realloc: None,
            memory: None,
        }
    }

    /// Asks for a capability: its TOML without the reason.
    pub fn asks(mut self, capability: &str, scope: &str) -> Self {
        self.manifest.push_str(&format!("\n[[capability]]\nname = \"{capability}\"\n{scope}\nreason = \"a test\"\n"));
        self
    }

    /// Instructions of `detonate` or `probe`; they leave the address of the result.
    pub fn act(mut self, instructions: &str) -> Self {
        self.act = instructions.to_owned();
        self
    }

    /// Instructions of `warmup`.
    pub fn warmup(mut self, instructions: &str) -> Self {
        self.warmup = instructions.to_owned();
        self
    }

    /// More fields of the core module: functions, tables, memories, `start`.
    pub fn fields(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// Instructions of `cabi_realloc` in place of the honest ones: `$align` and `$size` are given.
    pub fn realloc(mut self, instructions: &str) -> Self {
        self.realloc = Some(instructions.to_owned());
        self
    }

    /// The limits of the memory in place of what its data need, such as `200 300`.
    pub fn memory(mut self, limits: &str) -> Self {
        self.memory = Some(limits.to_owned());
        self
    }

    /// Puts bytes into the module's data, aligned to 8, and returns their address.
    pub fn bytes(&mut self, bytes: &[u8]) -> u32 {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let at = DATA + self.data.len();
        self.data.extend_from_slice(bytes);
        u32::try_from(at).expect("small")
    }

    /// Puts 32-bit words there.
    pub fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    /// A string's address and length, as words.
    pub fn string(&mut self, text: &str) -> [u32; 2] {
        [self.bytes(text.as_bytes()), u32::try_from(text.len()).expect("short")]
    }

    /// A string's address and length, as instructions.
    pub fn text(&mut self, text: &str) -> String {
        let [at, length] = self.string(text);
        format!("(i32.const {at}) (i32.const {length})")
    }

    /// A list of facts' address and count, as words.
    pub fn facts(&mut self, facts: &[(&str, &str)]) -> [u32; 2] {
        let words: Vec<u32> = facts.iter().flat_map(|(n, v)| [self.string(n), self.string(v)].concat()).collect();
        [self.words(&words), u32::try_from(facts.len()).expect("few")]
    }

    /// The core module's text.
    pub fn wat(&self) -> String {
        let calls = |text: &str, name: &str| [' ', ')'].iter().any(|end| text.contains(&format!("call ${name}{end}")));
        let used = |name: &str| [&self.act, &self.warmup, &self.fields].iter().any(|text| calls(text, name));
        let imports: String = HOST
            .iter()
            .filter(|(name, ..)| used(name))
            .map(|(name, interface, function, ty)| {
                let foreign = interface.contains(':');
                let interface = if foreign { (*interface).to_owned() } else { format!("foil:host/{interface}@0.1.0") };
                format!("(import \"{interface}\" \"{function}\" (func ${name} {ty}))\n")
            })
            .collect();
        let heap = (DATA + self.data.len()).next_multiple_of(16);
        let memory = self.memory.clone().unwrap_or_else(|| (heap / 65536 + 1).to_string());
        let data: String = self.data.iter().map(|b| format!("\\{b:02x}")).collect();
        let realloc = self.realloc.as_deref().unwrap_or(HONEST);
        let exports = match self.kind {
            Kind::Technique => format!(
                "(func (export \"foil:host/detonation@0.1.0#warmup\") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {LOCALS} {})
                (func (export \"foil:host/detonation@0.1.0#detonate\") (param i32) (result i32) {LOCALS} {})",
                self.warmup, self.act
            ),
            Kind::Check => format!(
                "(func (export \"foil:host/probing@0.1.0#probe\") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param $cursor i64) (result i32) {LOCALS} {})",
                self.act
            ),
        };
        format!(
            "(module {imports}
            (memory $memory (export \"memory\") {memory})
            (global $heap (mut i32) (i32.const {heap}))
            (data (i32.const 256) \"done\")
            (data (i32.const {DATA}) \"{data}\")
            (func $realloc (export \"cabi_realloc\") (param $old i32) (param $held i32) (param $align i32) (param $size i32) (result i32)
                (local $at i32) {realloc})
            {ANSWERS}
            {}
            {exports})",
            self.fields
        )
    }

    /// The module: a component with its manifest.
    pub fn build(&self) -> Vec<u8> {
        let mut core = wat::parse_str(self.wat()).unwrap_or_else(|e| panic!("{}: {e}\n{}", self.id, self.wat()));
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let (contract, _) = resolve.push_dir(wit).expect("the contract");
        let greedy = resolve.push_str("greedy.wit", GREEDY).expect("a world");
        for wit in WASI {
            resolve.push_str("wasi.wit", wit).expect("a package");
        }
        let inert = resolve.push_str("inert.wit", INERT).expect("a world");
        // A check that calls `exec` is described by a world of its own making.
        let (package, world) = match self.kind {
            Kind::Check if self.act.contains("call $exec ") => (greedy, "greedy".to_owned()),
            Kind::Technique if ["random", "print"].iter().any(|call| self.act.contains(&format!("call ${call}"))) => {
                (inert, "inert".to_owned())
            }
            kind => (contract, kind.to_string()),
        };
        let world = resolve.select_world(&[package], Some(&world)).expect("a world");
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("metadata");
        let encoder = ComponentEncoder::default();
        let component =
            encoder.module(&core).and_then(|mut e| e.encode()).unwrap_or_else(|e| panic!("{}: {e:?}", self.id));
        section::append(component, &self.manifest()).expect("it has none yet")
    }

    /// What it says of itself.
    pub fn manifest(&self) -> Manifest {
        let (attack, impact) = match self.kind {
            Kind::Technique => ("attack = [\"T1082\"]\n", "reversible"),
            Kind::Check => ("", "read-only"),
        };
        let text =
            format!("id = \"{}\"\ntitle = \"Means harm\"\n{attack}impact = \"{impact}\"\n{}", self.id, self.manifest);
        Manifest::from_toml(&text, self.kind).unwrap_or_else(|e| panic!("{}: {}\n{text}", self.id, e.0))
    }
}

const LOCALS: &str = "(local $i i32) (local $n i64)";

/// Takes the next bytes and never gives any back: an instance lives for one call.
const HONEST: &str = "
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
        (br_if $enough (i32.ge_u (i32.shl (memory.size) (i32.const 16)) (global.get $heap)))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (br $more)))
    (local.get $at)";

/// Results of the exports. `result<evidence, error>`: the tag, at 4 the summary, at 12 the facts, or the error.
/// `result<observation, error>`: at 8 the sightings, at 16 the cursor, at 24 how many were looked at.
const ANSWERS: &str = "
    (func $ready (result i32)
        (i64.store (i32.const 512) (i64.const 0)) (i32.store (i32.const 520) (i32.const 0)) (i32.const 512))
    ;; Evidence with this summary and these facts.
    (func $evidence (param $at i32) (param $length i32) (param $facts i32) (param $count i32) (result i32)
        (i32.store (i32.const 512) (i32.const 0))
        (i32.store (i32.const 516) (local.get $at)) (i32.store (i32.const 520) (local.get $length))
        (i32.store (i32.const 524) (local.get $facts)) (i32.store (i32.const 528) (local.get $count))
        (i32.const 512))
    (func $say (param $at i32) (param $length i32) (result i32)
        (call $evidence (local.get $at) (local.get $length) (i32.const 0) (i32.const 0)))
    (func $done (result i32) (call $say (i32.const 256) (i32.const 4)))
    ;; What a host call without 8-byte fields answered: its error is ours.
    (func $or4 (result i32)
        (if (result i32) (i32.load8_u (i32.const 512)) (then (i32.const 512)) (else (call $done))))
    ;; The same with 8-byte fields, whose error lies 4 bytes further on.
    (func $or8 (result i32)
        (if (result i32) (i32.load8_u (i32.const 512))
            (then (memory.copy (i32.const 516) (i32.const 520) (i32.const 24)) (i32.const 512))
            (else (call $done))))
    (func $sightings (param $at i32) (param $count i32) (result i32)
        (i64.store (i32.const 512) (i64.const 0))
        (i32.store (i32.const 520) (local.get $at)) (i32.store (i32.const 524) (local.get $count))
        (i64.store (i32.const 528) (i64.const 1)) (i32.store (i32.const 536) (local.get $count))
        (i32.store (i32.const 540) (i32.const 0))
        (i32.const 512))
    (func $nothing (result i32) (call $sightings (i32.const 0) (i32.const 0)))";
