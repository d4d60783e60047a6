//! Writes the page of a report that was kept as JSON: `render REPORT.json PAGE.html`.

use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: render REPORT.json PAGE.html".into());
    };
    let data: nashost_report::ReportData = serde_json::from_str(&fs::read_to_string(from)?)?;
    Ok(fs::write(to, nashost_report::html(&data))?)
}
