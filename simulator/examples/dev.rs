//! dev
use simulator::world::{Config, replay, run};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args[2].parse().unwrap();
    let mut config = Config::from_seed(seed);
    match args[1].as_str() {
        "replay" => {
            let from = args.get(3).map_or(1, |s| s.parse().unwrap());
            let r = replay(&config, from, |l| println!("{l}")).unwrap();
            println!("{:?}", r.violation);
        }
        "file" => {
            let c: Config = toml::from_str(&std::fs::read_to_string(&args[3]).unwrap()).unwrap();
            let r = replay(&c, 1, |l| println!("{l}")).unwrap();
            println!("{:?}", r.violation);
        }
        "shrink" => {
            let s = simulator::world::shrink(&config, 400).unwrap();
            println!("{}", s.map_or("holds".into(), |s| s.to_text().unwrap()));
        }
        "config" => println!("{}", toml::to_string(&config).unwrap()),
        "time" => {
            let n: u64 = args[3].parse().unwrap();
            for s in seed..seed + n {
                let c = Config::from_seed(s);
                let t = std::time::Instant::now();
                let r = run(&c, &mut ()).unwrap();
                println!(
                    "{s} sites {} msgs {} snaps {} ended {} took {:?}",
                    c.sites.len(),
                    r.messages,
                    r.snapshots.len(),
                    r.ended_ms,
                    t.elapsed()
                );
            }
        }
        "loop" => {
            for _ in 0..args[3].parse::<u64>().unwrap() {
                run(&config, &mut ()).unwrap();
            }
        }
        _ => {}
    }
    config.seed = 0;
}
