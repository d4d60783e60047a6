//! `nashost data`.

use std::path::PathBuf;

use clap::Subcommand;

use super::ConfigArgs;

/// Commands on datasets.
#[derive(Debug, Clone, Subcommand)]
pub enum DataCommand {
    /// Decodes every image, counts the labels, and reports all problems.
    Check {
        /// Where the configuration comes from.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Decodes every image and tells counts, sizes, intensities, pictures that occur twice, and labels that
    /// contradict each other.
    Stats {
        /// Call images by their ids, not by their numbers.
        #[arg(long)]
        show_ids: bool,
        /// Where the configuration comes from.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Writes the same as a page with a contact sheet: one file that loads nothing.
    Preview {
        /// The file to write.
        #[arg(default_value = "preview.html")]
        file: PathBuf,
        /// Call images by their ids.
        #[arg(long)]
        show_ids: bool,
        /// Where the configuration comes from.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Writes the split that a run would use: the dataset's own, or one by patient and label.
    Split {
        /// The file to write.
        #[arg(default_value = "split.json")]
        file: PathBuf,
        /// Where the configuration comes from.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Fetches a public dataset by URL and checks its digest.
    Fetch {
        /// Its name, such as `pneumoniamnist`.
        name: String,
        /// Folder to write to.
        #[arg(long, default_value = "data", value_name = "DIR")]
        to: PathBuf,
        /// Address to take it from instead of the publisher's.
        #[arg(long, env = "NASHOST_URL", value_name = "URL")]
        url: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Data {
        #[command(subcommand)]
        command: DataCommand,
    }

    fn parse(line: &str) -> Option<DataCommand> {
        Data::try_parse_from(line.split_whitespace()).ok().map(|data| data.command)
    }

    #[test]
    fn datasets_are_checked_split_and_fetched() {
        let Some(DataCommand::Check { config }) = parse("data check --dataset medmnist -s data.path=x.npz")
        else {
            panic!()
        };
        assert_eq!((config.dataset.as_deref(), config.set.len()), (Some("medmnist"), 1));
        assert!(
            matches!(parse("data split"), Some(DataCommand::Split { file, .. }) if file.as_os_str() == "split.json")
        );
        let stats = parse("data stats --dataset phantom --show-ids");
        assert!(matches!(stats, Some(DataCommand::Stats { show_ids: true, .. })));
        let preview = parse("data preview sheet.html -c mine.toml");
        assert!(
            matches!(preview, Some(DataCommand::Preview { file, show_ids: false, .. }) if file.as_os_str() == "sheet.html")
        );
        let fetch = parse("data fetch pneumoniamnist --to d --url http://localhost/x");
        assert!(matches!(fetch, Some(DataCommand::Fetch { url: Some(_), .. })));
    }
}
