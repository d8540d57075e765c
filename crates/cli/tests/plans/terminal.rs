//! The question at a gate, asked on a terminal: approved, refused, and left open.

use crate::Desk;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::terminal::Terminal;

const PLAN: &str = r#"
name = "with a gate"

[[phase]]
id = "one"
gate = "approve"
approvers = ["dba"]
go = ["team available"]

  [[phase.step]]
  id = "made"
  sql = "CREATE TABLE made (id int NOT NULL PRIMARY KEY)"

  [[phase.step]]
  id = "balancer"
  manual = { do = "Switch the load balancer", by = "devops" }
  undo = { none = "it is switched back by hand" }

[[phase]]
id = "two"

  [[phase.step]]
  id = "gone"
  sql = "DROP TABLE made"
  undo = { impossible = "the rows are gone" }
"#;

fn run(desk: &Desk) -> Terminal {
    desk.sandbox.write("gate.plan.toml", PLAN);
    Terminal::spawn(desk.sandbox.command(["run", "gate"]))
}

fn is_made(desk: &Desk) -> bool {
    desk.picture().iter().any(|line| line == "table made")
}

for_each_engine! {
    /// Whoever sits at the terminal opens the gate there, says that the manual step is done and accepts what cannot be
    /// undone; the run goes on each time.
    async fn the_gate_is_opened_on_the_terminal(engine: TestEngine) {
        let desk = Desk::new(engine);
        let mut terminal = run(&desk);
        terminal.answer("Who approves?", "Ann");
        terminal.answer("In which role? (dba)", "dba");
        terminal.answer("team available? [y/n]", "y");
        assert!(!is_made(&desk), "nothing before the gate is open");
        terminal.answer("Approve phase `one`? [y/n,", "y");
        terminal.answer("`balancer`: is it so?", "y");
        assert!(is_made(&desk));
        terminal.answer("Your name:", "Dee");
        terminal.answer("Who approves?", "Ann");
        terminal.answer("Step `gone` cannot be undone (the rows are gone). Accept that?", "y");
        terminal.answer("Approve phase `two`? [y/n,", "y");
        let (code, screen) = terminal.wait();
        assert_eq!(code, Some(0), "{screen}");
        assert!(!is_made(&desk));
        let (_, said) = desk.json("runs");
        assert_eq!(said["data"]["runs"].as_array().unwrap().len(), 3, "{said:#}");
    }
}

for_each_engine! {
    /// A no keeps the gate closed: exit 3, and nothing was touched. An empty line leaves it to another time.
    async fn the_gate_stays_closed_on_the_terminal(engine: TestEngine) {
        let desk = Desk::new(engine);
        let before = desk.picture();
        let mut terminal = run(&desk);
        terminal.answer("Who approves?", "Ann");
        terminal.answer("In which role? (dba)", "dba");
        terminal.answer("team available? [y/n]", "y");
        terminal.answer("Approve phase `one`? [y/n,", "n");
        let (code, screen) = terminal.wait();
        assert_eq!(code, Some(3), "{screen}");
        // A person has said no, and that is on record: it is no open question any more.
        let (_, shown) = desk.json("run gate");
        assert!(shown["data"]["waiting"]["missing"].to_string().contains("Ann"), "{shown:#}");

        let mut terminal = run(&desk);
        terminal.answer("Who approves?", "");
        let (code, screen) = terminal.wait();
        assert_eq!(code, Some(3), "{screen}");
        // `--yes` answers questions, and never opens a gate.
        let mut terminal = Terminal::spawn(desk.sandbox.command(["run", "gate", "--yes"]));
        terminal.answer("Who approves?", "");
        let (code, screen) = terminal.wait();
        assert_eq!(code, Some(3), "{screen}");
        assert_eq!(desk.picture(), before);
    }
}
