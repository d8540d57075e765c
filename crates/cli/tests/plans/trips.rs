//! What a step costs on the line.

use crate::Desk;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::line::Line;
use dunlin_testkit::servers::Server;

/// A plan of steps that do nothing.
fn empty(steps: usize) -> String {
    let mut plan = "name = \"empty\"\n[[phase]]\nid = \"only\"\ntitle = \"Nothing\"\n".to_owned();
    for step in 1..=steps {
        plan.push_str(&format!(
            "[[phase.step]]\nid = \"s{step}\"\nsql = \"SELECT 1\"\nundo = {{ none = \"a query\" }}\n"
        ));
    }
    plan
}

for_each_engine! {
    only servers
    async fn a_step_that_looks_at_nothing_costs_a_few_trips(engine: TestEngine) {
        let server = Server::shared(engine.kind().unwrap());
        if server.port() == 0 {
            return; // a server of somebody's own, behind who knows what
        }
        let mut taken = vec![];
        for steps in [5, 25] {
            let desk = Desk::new(engine);
            let line = Line::to(server.port()).await;
            let ports = (format!(":{}/", server.port()), format!(":{}/", line.port));
            let config = desk.sandbox.read("dunlin.toml").replace(&ports.0, &ports.1);
            desk.sandbox.write("dunlin.toml", config);
            desk.sandbox.write("empty.plan.toml", empty(steps));
            let (code, done) = tokio::task::spawn_blocking(move || desk.json("run empty")).await.unwrap();
            assert_eq!(code, 0, "{done:#}");
            taken.push(line.taken());
        }
        // A transaction for each, which goes as one text. The lease beats beside it, on machines that take their time.
        let each = (taken[1] - taken[0]) as f64 / 20.0;
        assert!(each <= 1.5, "{engine}: {each} trips for each step ({taken:?})");
        // Connecting three times, the lease, the journal's tables: nothing is asked about tables that no step names.
        assert!(taken[0] <= 70, "{engine}: {taken:?} trips");
    }
}
