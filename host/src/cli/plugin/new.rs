//! `nashost plugin new`.

use crate::{
    cli::{Context, args::PluginNewArgs},
    error::{Error, Exit, Result},
    plugin::scaffold::{Api, scaffold},
};

/// Begins a new plugin.
pub(super) fn command(args: &PluginNewArgs, context: &Context) -> Result<Exit> {
    let api =
        match (&args.api_path, &args.api_git) {
            (Some(path), _) => Api::Path(std::path::absolute(path).map_err(|e| {
                Error::new(Exit::Usage, "E0432", format!("--api-path {}: {e}", path.display()))
            })?),
            (None, Some(url)) => Api::Git(url.clone()),
            (None, None) => Api::Registry,
        };
    if let Api::Path(path) = &api
        && !path.join("Cargo.toml").is_file()
    {
        let message = format!("--api-path {}: there is no Cargo.toml", path.display());
        return Err(Error::new(Exit::Usage, "E0432", message).help("name the folder `plugin-api` of nashost"));
    }
    let files = scaffold(&args.name, args.kind, &api)?;
    let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
    context.out.text(&lines)?;
    context.out.note(&format!("next: cd {} && cargo test", args.name.display()));
    Ok(Exit::Ok)
}
