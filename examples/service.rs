//! A small service over an embedded database: it takes in events on a socket and answers questions.
//!
//! One line in, one line out, any number of clients at once:
//!
//! ```text
//! EVENT {"kind": "login", "user": "ada"}     OK "0198f0c2-..."
//! COUNT {"kind": "login"}                    1
//! STATS                                      login 1
//! NEAREST [0.1, 0.9]                         billing, support, security
//! ```
//!
//! `cargo run --example service -- events.tri 7878` serves; without arguments it serves itself a few
//! clients and shows what they see. Events are documents, topics are vectors, statistics are SQL; an
//! event that was answered with OK survives `kill -9`.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::scalar::ScalarValue;
use trilith::document::Filter;
use trilith::{Database, Options, Result};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else { return demonstrate() };
    let port: u16 = arguments.next().unwrap_or_else(|| "7878".into()).parse()?;
    let db = Database::open_blocking(path, Options::default())?;
    serve(&prepare(db)?, &TcpListener::bind(("127.0.0.1", port))?)
}

/// Makes what the service needs and is not there yet.
fn prepare(db: Database) -> Result<Database> {
    db.collection("events").create()?;
    db.sql_blocking(
        "CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, direction VECTOR(2));
         INSERT INTO topics VALUES ('security', '[1, 0]'), ('billing', '[0, 1]'), ('support', '[0.7, 0.7]')
           ON CONFLICT (name) DO NOTHING",
    )?;
    Ok(db)
}

/// One thread per client; the handle is shared, and so are the commits of clients that write at once.
fn serve(db: &Database, listener: &TcpListener) -> std::result::Result<(), Box<dyn Error>> {
    for client in listener.incoming() {
        let (client, db) = (client?, db.clone());
        thread::spawn(move || match converse(&db, client) {
            Ok(()) => {}
            Err(gone) => eprintln!("a client went away: {gone}"),
        });
    }
    Ok(())
}

fn converse(db: &Database, client: TcpStream) -> std::io::Result<()> {
    let mut answers = client.try_clone()?;
    for line in BufReader::new(client).lines() {
        let answer = answer(db, &line?).unwrap_or_else(|error| format!("ERROR {error}"));
        writeln!(answers, "{}", answer.replace('\n', " "))?;
    }
    Ok(())
}

/// What the service replies to a line.
fn answer(db: &Database, line: &str) -> Result<String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb {
        "EVENT" => Ok(format!("OK {}", db.collection("events").insert_one(rest)?)),
        "COUNT" => {
            let (events, filter) = (db.collection("events"), Filter::parse(rest)?);
            db.block_on(async move { Ok(events.count(&filter).await?.to_string()) })
        }
        "STATS" => {
            let sql = "SELECT doc->>'kind' AS kind, count(*) FROM events GROUP BY kind ORDER BY kind";
            Ok(text(&db.sql_blocking(sql)?))
        }
        "NEAREST" => {
            let sql = "SELECT name FROM vector_search('topics', 'direction', $1, 3)";
            Ok(text(&db.query(sql).params(vec![ScalarValue::from(rest)]).collect_blocking()?))
        }
        _ => Ok(format!("ERROR {verb:?} is none of EVENT, COUNT, STATS, NEAREST")),
    }
}

/// Rows on one line: values by spaces, rows by commas.
fn text(batches: &[RecordBatch]) -> String {
    let row = |batch: &RecordBatch, row: usize| {
        let values =
            batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap_or_default());
        values.collect::<Vec<_>>().join(" ")
    };
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at)));
    rows.collect::<Vec<_>>().join(", ")
}

/// Serves itself: four clients write at once, then one asks.
fn demonstrate() -> std::result::Result<(), Box<dyn Error>> {
    let db = prepare(Database::in_memory()?)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || serve(&db, &listener).map_err(|error| error.to_string()));
    let ask = move |lines: &str| -> std::io::Result<Vec<String>> {
        let mut service = TcpStream::connect(address)?;
        service.write_all(lines.as_bytes())?;
        service.shutdown(std::net::Shutdown::Write)?;
        BufReader::new(service).lines().collect()
    };
    let writers: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || ask(&format!("EVENT {{\"kind\": \"login\", \"n\": {n}}}\n").repeat(25)))
        })
        .collect();
    for writer in writers {
        let answers = writer.join().map_err(|_| "a client panicked")??;
        assert!(answers.iter().all(|answer| answer.starts_with("OK ")), "{answers:?}");
    }
    let answers = ask(
        "EVENT {\"kind\": \"sale\"}\nCOUNT {\"n\": {\"$gte\": 2}}\nSTATS\nNEAREST [0.9, 0.2]\nEVENT [\n",
    )?;
    assert_eq!(answers[1..4], ["50", "login 100, sale 1", "security, support, billing"]);
    assert!(answers[4].starts_with("ERROR "), "{answers:?}");
    answers.iter().for_each(|answer| println!("{answer}"));
    Ok(())
}

#[test]
fn clients_see_what_they_wrote() {
    demonstrate().unwrap_or_else(|error| unreachable!("{error}"));
}
