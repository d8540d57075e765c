//! Migrations made up from a seed: pieces of every kind, shuffled into files.

use super::{Engine, pieces};
use std::fmt::Write;

/// A small generator of numbers (splitmix64): the same seed gives the same migrations everywhere.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// Between 0 and 1.
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Yes with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// A folder of migrations, and what the counters must say when all of it happened exactly once.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Name and content of each file, in order.
    pub files: Vec<(String, String)>,
    /// What must stand in `crash_log`, each once.
    pub log: Vec<String>,
    /// How often each row of `crash_count` is counted up.
    pub counts: [usize; COUNTERS],
}

/// Rows of `crash_count`.
pub const COUNTERS: usize = 4;

/// What belongs together: one or more statements that stay neighbours in one file.
struct Chunk {
    text: String,
}

struct Maker<'a> {
    rng: &'a mut Rng,
    log: Vec<String>,
    counts: [usize; COUNTERS],
}

/// Makes a scenario.
pub fn scenario(engine: Engine, rng: &mut Rng) -> Scenario {
    let mut maker = Maker {
        rng,
        log: vec![],
        counts: [0; COUNTERS],
    };
    let queues = maker.queues(engine);
    let chunks = maker.merge(queues);
    let files = maker.files(engine, &chunks);
    let (log, counts) = (maker.log, maker.counts);
    Scenario { files, log, counts }
}

impl Maker<'_> {
    /// Fills in a template: `{k}` is the piece's number, `{log}` and `{count}` are statements that must happen once.
    fn fill(&mut self, template: &str, k: usize) -> Chunk {
        let mut text = template.replace("{k}", &k.to_string());
        while let Some(at) = text.find("{log}") {
            let mark = format!("mark-{}", self.log.len());
            text.replace_range(
                at..at + "{log}".len(),
                &format!("INSERT INTO crash_log VALUES ('{mark}')"),
            );
            self.log.push(mark);
        }
        while let Some(at) = text.find("{mark}") {
            let mark = format!("mark-{}", self.log.len());
            // All marks of one template are the same one: a probe must ask for what its statement writes.
            text = text.replace("{mark}", &mark);
            self.log.push(mark);
            debug_assert!(at < text.len());
        }
        while let Some(at) = text.find("{count}") {
            let row = self.rng.below(COUNTERS);
            text.replace_range(
                at..at + "{count}".len(),
                &format!("UPDATE crash_count SET n = n + 1 WHERE k = {row}"),
            );
            self.counts[row] += 1;
        }
        Chunk { text }
    }

    fn queues(&mut self, engine: Engine) -> Vec<Vec<Chunk>> {
        let pieces = pieces::of(engine);
        let wanted = 4 + self.rng.below(4);
        let mut queues = vec![];
        for k in 1..=wanted {
            let piece = pieces[self.rng.below(pieces.len())];
            queues.push(
                piece
                    .iter()
                    .map(|template| self.fill(template, k))
                    .collect(),
            );
        }
        // Counting statements between everything else: these are what would be seen twice.
        let sprinkled = 8 + self.rng.below(8);
        for _ in 0..sprinkled {
            let template = ["{log};", "{count};", "{count};\n{log};"][self.rng.below(3)];
            queues.push(vec![self.fill(template, 0)]);
        }
        queues
    }

    /// One order of all chunks that keeps the order within each piece.
    fn merge(&mut self, mut queues: Vec<Vec<Chunk>>) -> Vec<Chunk> {
        for queue in &mut queues {
            queue.reverse();
        }
        let mut chunks = vec![];
        while !queues.is_empty() {
            let at = self.rng.below(queues.len());
            match queues[at].pop() {
                Some(chunk) => chunks.push(chunk),
                None => {
                    queues.swap_remove(at);
                }
            }
        }
        chunks
    }

    fn files(&mut self, engine: Engine, chunks: &[Chunk]) -> Vec<(String, String)> {
        let mut base = pieces::BASE.to_owned();
        for row in 0..COUNTERS {
            let _ = writeln!(base, "INSERT INTO crash_count VALUES ({row}, 0);");
        }
        let mut files = vec![("001_base.sql".to_owned(), base)];
        let mut at = 0;
        while at < chunks.len() {
            let wanted = 1 + self.rng.below(7);
            let mut text = String::new();
            let (mut shares, mut rebuilds, mut cascades) = (false, false, false);
            for chunk in chunks[at..].iter().take(wanted) {
                // Two units that share state in one file would make one long unit of everything between them.
                if shares && pieces::shares_state(&chunk.text) {
                    break;
                }
                // While SQLite rebuilds a table no cascade fires in that file, and a file that counts on one is stopped.
                rebuilds |= pieces::rebuilds(&chunk.text);
                cascades |= pieces::cascades(&chunk.text);
                if engine == Engine::Sqlite && rebuilds && cascades {
                    break;
                }
                shares |= pieces::shares_state(&chunk.text);
                text.push_str(&chunk.text);
                text.push('\n');
                at += 1;
            }
            // Without a transaction a block of code is not exactly-once, and says so before the run.
            let apart = engine.has_transactional_ddl() && self.rng.chance(0.15);
            if apart && !text.contains("CALL ") && !text.contains("DO $$") {
                text.insert_str(0, "-- dunlin: transaction = \"none\"\n");
            }
            files.push((format!("{:03}_part.sql", files.len() + 1), text));
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::{Engine, Rng, scenario};

    #[test]
    fn a_seed_gives_the_same_migrations_again_and_fills_everything_in() {
        for engine in Engine::ALL {
            let one = scenario(engine, &mut Rng::new(7));
            let two = scenario(engine, &mut Rng::new(7));
            assert_eq!(one.files, two.files);
            for (_, text) in &one.files {
                assert!(!text.contains("{k}") && !text.contains("{log}"), "{text}");
            }
            assert!(!one.log.is_empty());
        }
    }
}
