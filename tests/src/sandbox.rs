//! Folders for tests that run `nashost`, the runs in them, and small image sets.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

/// A working directory of one test; it goes when the value does.
#[derive(Debug)]
pub struct Sandbox(TempDir);

impl Default for Sandbox {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("the system's folder for temporary files is writable"))
    }
}

impl Sandbox {
    /// Makes a folder below `folder`.
    ///
    /// # Panics
    ///
    /// Panics if `folder` cannot be written.
    pub fn below(folder: &Path) -> Self {
        Self(tempfile::tempdir_in(folder).expect("the folder is writable"))
    }

    /// Leaves the folder where it is, and returns it.
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }

    /// Returns the path of `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns a `nashost` that runs here with the words of `line`.
    pub fn nashost(&self, line: &str) -> assert_cmd::Command {
        let mut command = crate::nashost();
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command
    }

    /// Runs `line`, which must succeed, and returns its standard output.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn output(&self, line: &str) -> String {
        let output = self.nashost(line).assert().success().get_output().stdout.clone();
        String::from_utf8(output).expect("nashost prints UTF-8")
    }

    /// Runs `line`, which must print exactly one JSON document.
    ///
    /// # Panics
    ///
    /// Panics if it fails or prints anything else.
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.output(line)).expect("exactly one JSON document")
    }

    /// Runs `line`, which must succeed and make a run, and returns the newest run.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn run(&self, line: &str) -> Run {
        self.output(line);
        self.latest()
    }

    /// Returns the newest run in `runs`.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn latest(&self) -> Run {
        Run(self.path("runs/latest").canonicalize().expect("a run"))
    }

    /// Returns the content of every file below the folder `name`, by path.
    pub fn contents(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(name), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            let content = fs::read(&path).expect("files of a test are readable");
            files.insert(path, content);
        }
    }
}

/// A run directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run(pub PathBuf);

/// One row of a table, by column.
pub type Row = BTreeMap<String, String>;

impl Run {
    /// Returns the path of a file of the run.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads a file of the run.
    ///
    /// # Panics
    ///
    /// Panics if it is missing.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Reads a JSON file of the run.
    ///
    /// # Panics
    ///
    /// Panics if it is missing or damaged.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Reads a table of the run.
    ///
    /// # Panics
    ///
    /// Panics if it is missing or damaged.
    pub fn table(&self, name: &str) -> Vec<Row> {
        let bytes = self.bytes(name);
        let mut reader = csv::Reader::from_reader(&*bytes);
        let rows = reader.deserialize::<Row>();
        rows.map(|row| row.unwrap_or_else(|e| panic!("{name}: {e}"))).collect()
    }

    /// Reads one column of a table of the run.
    ///
    /// # Panics
    ///
    /// Panics if the table has no such column.
    pub fn column(&self, table: &str, column: &str) -> Vec<String> {
        self.table(table).into_iter().map(|mut row| row.remove(column).expect("the column")).collect()
    }

    /// Reads names and shapes of the tensors in a checkpoint, and checks that its data are whole.
    ///
    /// # Panics
    ///
    /// Panics if it is no safetensors file.
    pub fn tensors(&self, checkpoint: &str) -> BTreeMap<String, Vec<u64>> {
        let bytes = self.bytes(checkpoint);
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let header: BTreeMap<String, Value> =
            serde_json::from_slice(&bytes[8..8 + length]).expect("the header is JSON");
        let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
        let end = |tensor: &Value| tensor["data_offsets"][1].as_u64().expect("an offset");
        let numbers =
            |list: &Value| list.as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
        let mut last = 0;
        let shapes = tensors.map(|(name, tensor)| {
            last = last.max(end(&tensor));
            (name, numbers(&tensor["shape"]))
        });
        let shapes = shapes.collect();
        assert_eq!(last as usize, bytes.len() - 8 - length, "{checkpoint} is not whole");
        shapes
    }
}

/// A small set of PNG images in the layout of the study: `train.csv`, `val.csv`, `test.csv`, and two
/// labels, `bone` (bright images) and `normal` (the others).
#[derive(Debug)]
pub struct Set {
    /// Its folder.
    pub folder: PathBuf,
}

impl Set {
    /// Arguments of `nashost run` for a set in `set`: a small network, one short epoch.
    pub const RUN: &str = "run --dataset csv-images -s data.root=set -s arch.plugin=superres \
                           -s train.resolution=16 -s train.epochs=1 -s eval.bootstrap=20";

    /// Writes a set of 24, 8 and 8 images.
    ///
    /// # Panics
    ///
    /// Panics if `folder` cannot be written.
    pub fn write(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("the folder is writable");
        let set = Self { folder };
        let mut next = 0;
        for (part, images) in [("train", 24), ("val", 8), ("test", 8)] {
            let mut text = "ID,bone,normal\n".to_owned();
            for _ in 0..images {
                let bone = next % 2;
                set.image(&format!("{next}.png"), next, 60 + 100 * bone);
                text += &format!("{next}.png,{bone},{}\n", 1 - bone);
                next += 1;
            }
            set.csv(part, |_| text);
        }
        set
    }

    /// Writes a set of as many images as `parts` says, of which those are bright whose number is even, and
    /// those have the finding `bone` that `is_bone` says.
    ///
    /// # Panics
    ///
    /// Panics if `folder` cannot be written.
    pub fn write_many(folder: PathBuf, parts: [u32; 3], is_bone: impl Fn(u32) -> bool) -> Self {
        fs::create_dir_all(&folder).expect("the folder is writable");
        let set = Self { folder };
        let mut numbers = 0..;
        for (part, images) in ["train", "val", "test"].into_iter().zip(parts) {
            let mut text = "ID,bone,normal\n".to_owned();
            for number in numbers.by_ref().take(images as usize) {
                set.image(&format!("{number}.png"), number, 160 - 100 * (number % 2));
                let bone = u32::from(is_bone(number));
                text += &format!("{number}.png,{bone},{}\n", 1 - bone);
            }
            set.csv(part, |_| text);
        }
        set
    }

    fn image(&self, name: &str, number: u32, brightness: u32) {
        // A different pattern in every image, so that no two are equal.
        let pixel = |x: u32, y: u32| image::Luma([(brightness + (x * (number + 3) + y * 7) % 23) as u8]);
        let image = image::GrayImage::from_fn(20, 24, pixel);
        image.save(self.folder.join(name)).expect("the folder is writable");
    }

    /// Changes the text of `<part>.csv`.
    ///
    /// # Panics
    ///
    /// Panics if the file cannot be written.
    pub fn csv(&self, part: &str, change: impl FnOnce(String) -> String) {
        let path = self.folder.join(format!("{part}.csv"));
        let text = change(fs::read_to_string(&path).unwrap_or_default());
        fs::write(path, text).expect("the folder is writable");
    }
}
