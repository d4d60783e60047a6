use std::{fs, path::Path};

use nashost_plugin_api::{
    component::Component as _,
    dataset::{Dataset as _, Part, PixelType, Target},
};

use super::*;

const PNG: &[u8] = include_bytes!("../../../../tests/fixtures/datasets/images/grey8.png");

/// A folder with the given files, removed at the end.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, if *text == "png" { PNG } else { text.as_bytes() }).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn study(&self) -> CsvImagesConfig {
        CsvImagesConfig { extension: "png".into(), ..CsvImagesConfig::study(self.path()) }
    }

    fn general(&self) -> CsvImagesConfig {
        CsvImagesConfig { csv: Some("all.csv".into()), ..self.study() }
    }
}

fn problems(config: CsvImagesConfig) -> Vec<String> {
    let dataset = CsvImages::create(config).unwrap();
    dataset.records().unwrap_err().to_string().lines().map(str::to_owned).collect()
}

#[test]
fn study_layout() {
    let folder = Folder::new(&[
        ("train.csv", "Num,ID,Fracture,normal\n1,a,1,0\n2,b,0,1\n"),
        ("val.csv", "Num,ID,Fracture,normal\n1,c,,\n"),
        ("test.csv", "\u{feff}Num,ID,Fracture,normal\r\n1,d,0,0\r\n"),
        ("a.png", "png"),
        ("b.png", "png"),
        ("c.png", "png"),
        ("d.png", "png"),
    ]);
    let dataset = CsvImages::create(folder.study()).unwrap();
    let info = dataset.describe().unwrap();
    assert_eq!(info.labels, ["Fracture", "normal"]);
    assert_eq!(info.normal_label.as_deref(), Some("normal"));
    let records = dataset.records().unwrap();
    let brief: Vec<_> = records.iter().map(|r| (r.id.as_str(), r.group.as_str(), r.split)).collect();
    assert_eq!(
        brief,
        [
            ("a", "a", Some(Part::Train)),
            ("b", "b", Some(Part::Train)),
            ("c", "c", Some(Part::Val)),
            ("d", "d", Some(Part::Test)),
        ]
    );
    use Target::{Negative, NotAssessed, Positive};
    let targets: Vec<_> = records.iter().map(|r| r.targets.clone()).collect();
    assert_eq!(targets, [[Positive, Negative], [Negative, Positive], [NotAssessed; 2], [Negative; 2]]);
    let pixels = dataset.pixels(3).unwrap();
    assert_eq!((pixels.height, pixels.width, pixels.dtype), (6, 9, PixelType::U8));
    assert!(dataset.pixels(4).is_err());
}

#[test]
fn general_layout_chooses_columns_by_name() {
    let folder = Folder::new(&[
        (
            "all.csv",
            "image,file,PATIENT,part,view,y,x\n7,img/7.png,p1,Train,AP,1,0\n8,img/8.png,p1,valid,L,0,\n",
        ),
        ("img/7.png", "png"),
        ("img/8.png", "png"),
    ]);
    let config = CsvImagesConfig {
        id: "image".into(),
        path: Some("file".into()),
        group: Some("patient".into()),
        split: Some("part".into()),
        attributes: vec!["view".into()],
        ..folder.general()
    };
    let all = CsvImages::create(config.clone()).unwrap();
    assert_eq!(all.describe().unwrap().labels, ["y", "x"]);
    assert_eq!(all.describe().unwrap().normal_label, None);
    let records = all.records().unwrap();
    assert_eq!(records[1].group, "p1");
    assert_eq!(records[1].split, Some(Part::Val));
    assert_eq!(records[1].attributes["view"], "L");
    assert_eq!(records[1].targets, [Target::Negative, Target::NotAssessed]);
    let chosen = CsvImagesConfig { labels: vec!["x".into()], normal: "x".into(), ..config };
    let chosen = CsvImages::create(chosen).unwrap().describe().unwrap();
    assert_eq!((chosen.labels, chosen.normal_label), (vec!["x".into()], Some("x".into())));
}

#[test]
fn every_problem_is_listed_with_its_place() {
    let folder = Folder::new(&[
        (
            "train.csv",
            "Num,ID,Fracture,normal\n1,a,2,0\n2,a,yes,0\n3,b,1,1\n4,gone,0,1\n5,../a,0,1\n6,a,0\n7,,0,1\n",
        ),
        ("val.csv", "Num,ID,Fracture\n1,a,0\n"),
        ("test.csv", "Num,ID,Fracture,normal\n"),
        ("a.png", "png"),
        ("b.png", "png"),
    ]);
    assert_eq!(
        problems(folder.study()),
        [
            "train.csv:2: column \"Fracture\": value \"2\" is not 0, 1 or blank",
            "train.csv:3: id \"a\" stands already in train.csv:2",
            "train.csv:3: column \"Fracture\": value \"yes\" is not 0, 1 or blank",
            "train.csv:4: \"normal\" and \"Fracture\" are both 1",
            "train.csv:5: image \"gone.png\" does not exist",
            "train.csv:6: image \"../a.png\" lies outside the root folder",
            "train.csv:7: 3 values for 4 columns",
            "train.csv:8: column \"ID\" is blank",
            "val.csv:1: labels [\"Fracture\"] differ from those of train.csv, [\"Fracture\", \"normal\"]",
            "test.csv: no images, only a header",
        ]
    );
}

#[test]
fn wrong_columns_come_with_a_suggestion() {
    let folder = Folder::new(&[("all.csv", "image_id,patient_id,Fracture\n1,2,0\n")]);
    let config = CsvImagesConfig {
        id: "imageid".into(),
        group: Some("patientid".into()),
        labels: vec!["Fractur".into(), "Swelling".into()],
        ..folder.general()
    };
    assert_eq!(
        problems(config),
        [
            "all.csv:1: no column \"imageid\" for the ids (did you mean \"image_id\"?)",
            "all.csv:1: no column \"patientid\" for the patients (did you mean \"patient_id\"?)",
            "all.csv:1: no column \"Fractur\" for a label (did you mean \"Fracture\"?)",
            "all.csv:1: no column \"Swelling\" for a label",
        ]
    );
}

#[test]
fn unusable_files_are_named() {
    let folder = Folder::new(&[("train.csv", ""), ("val.csv", "ID;Fracture\na;1\n")]);
    let problems = problems(folder.study());
    assert_eq!(problems[0], "train.csv: file is empty");
    assert_eq!(problems[1], "val.csv:1: no column \"ID\" for the ids; columns must be separated by commas");
    assert!(problems.last().unwrap().starts_with("test.csv: cannot be read: "), "{problems:?}");
    let missing = CsvImages::create(CsvImagesConfig { channels: 2, ..CsvImagesConfig::study("/no/such") });
    assert_eq!(
        missing.unwrap_err().to_string(),
        "root: \"/no/such\" is not a folder\nchannels: 2 is neither 1 nor 3"
    );
}

/// Each wrong value quotes the name of its column, so a long one would come back a million times.
#[test]
fn long_names_of_columns_are_refused_and_many_columns_cost_no_time() {
    let name = "x".repeat(201);
    let folder = Folder::new(&[("all.csv", &format!("ID,{name}\na,2\n"))]);
    assert_eq!(
        problems(folder.general()),
        ["all.csv:1: the name of column 2 has 201 bytes; 200 are the most"]
    );
    // Compared with each other in pairs, these took minutes.
    let header: String = (0..200_000).map(|i| format!(",{i:x}z")).collect();
    let folder = Folder::new(&[("all.csv", &format!("ID{header},0z\n"))]);
    assert_eq!(problems(folder.general()), ["all.csv:1: two columns are named \"0z\""]);
}

#[test]
fn wrong_parts_are_refused() {
    let folder =
        Folder::new(&[("all.csv", "ID,part,x\na,dev,1\nb,,0\n"), ("a.png", "png"), ("b.png", "png")]);
    assert_eq!(
        problems(CsvImagesConfig { split: Some("part".into()), ..folder.general() }),
        [
            "all.csv:2: column \"part\": value \"dev\" is not train, val or test",
            "all.csv:3: column \"part\": value \"\" is not train, val or test",
        ]
    );
}

#[test]
fn truncated_images_say_where_they_stand() {
    let folder = Folder::new(&[("all.csv", "ID,x\na,1\n"), ("a.png", "png")]);
    fs::write(folder.path().join("a.png"), &PNG[..PNG.len() - 30]).unwrap();
    let dataset = CsvImages::create(folder.general()).unwrap();
    let error = dataset.pixels(0).unwrap_err().to_string();
    assert!(error.starts_with("all.csv:2: image ") && error.contains("damaged"), "{error}");
}

#[test]
fn the_stamp_follows_the_files() {
    let folder = Folder::new(&[("all.csv", "ID,x\na,1\n"), ("a.png", "png")]);
    let stamp = || CsvImages::create(folder.general()).unwrap().stamp().unwrap();
    let before = stamp();
    assert_eq!(before, stamp());
    fs::write(
        folder.path().join("a.png"),
        include_bytes!("../../../../tests/fixtures/datasets/images/grey16.png"),
    )
    .unwrap();
    let image = stamp();
    assert_ne!(before, image);
    fs::write(folder.path().join("all.csv"), "ID,x\na,0 \n").unwrap();
    assert_ne!(image, stamp());
}
