//! T1053.003: a job that would come back every night, if there were a 30th of February.

use foil_sdk::prelude::*;

struct CronPersistence;

impl Technique for CronPersistence {
    type Parameters = NoParameters;

    fn warmup(_: &Context, _: &NoParameters) -> Result<State> {
        if files::exists("/etc/cron.d")? {
            return Ok(State::new());
        }
        Err(Error::prerequisite("there is no /etc/cron.d: this system has no cron that reads it"))
    }

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let mark = context.mark();
        let path = if context.dry { context.in_scratch(&mark) } else { ["/etc/cron.d/", &mark].concat() };
        let job = format!(
            "# {mark}: planted by a detection test (Foil, linux.cron-persistence), never runs, may be deleted\n\
             0 0 30 2 * root /bin/true {mark}\n"
        );
        files::create(&path, job, 0o644)?;
        Ok(Evidence::new(format!("planted a job in {path}")).fact("file", path))
    }
}

foil_sdk::technique!(CronPersistence);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.directory("/etc/cron.d");
        host
    }

    #[test]
    fn the_job_is_marked_and_never_runs() {
        let host = host();
        let evidence = host.detonate::<CronPersistence>(&[]).unwrap();
        let path = format!("/etc/cron.d/foil-{}", host.context().run_id);
        assert_eq!(evidence.get("file"), Some(path.as_str()));
        let job = String::from_utf8(host.content(&path).unwrap()).unwrap();
        let lines: Vec<&str> = job.lines().collect();
        assert!(lines[0].starts_with(&format!("# {}", host.context().mark())));
        assert!(lines[1].starts_with("0 0 30 2 * root /bin/true"));
        assert!(job.ends_with('\n'), "cron ignores a last line without its end");
        assert_eq!(host.mode(&path), Some(0o644), "cron refuses a job that others may write");
    }

    #[test]
    fn without_cron_it_could_not_run() {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        assert_eq!(host.detonate::<CronPersistence>(&[]).unwrap_err().code(), Some("prerequisite"));
        assert!(host.changes().is_empty());
    }

    #[test]
    fn a_file_that_is_there_already_is_left_alone() {
        let host = host();
        let path = format!("/etc/cron.d/foil-{}", host.context().run_id);
        host.file(&path, "somebody's");
        assert_eq!(host.detonate::<CronPersistence>(&[]).unwrap_err().code(), Some("conflict"));
        assert_eq!(host.content(&path).unwrap(), b"somebody's");
    }

    #[test]
    fn the_benign_twin_plants_nothing_in_cron() {
        let host = host();
        host.dry(true).detonate::<CronPersistence>(&[]).unwrap();
        assert_eq!(host.changes(), [format!("create {}/foil-{}", host.context().scratch, host.context().run_id)]);
    }
}
