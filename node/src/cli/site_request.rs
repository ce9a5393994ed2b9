//! `legation site request`: a join request, as whoever drafts the charter looks at it.

use std::path::{Path, PathBuf};

use protocol::document::{Document as _, JoinRequest};
use protocol::signature::Signed;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde_json::json;

use super::{Failure, Output, documents, fingerprint};

/// Which request.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: legation site request lu-vault/join-request.txt --qr request\n\
                        Call the site's operator at a number that you know, and let them read its words to you.")]
pub(super) struct RequestArguments {
    /// The join request.
    file: PathBuf,
    /// Write it as QR codes too, SVG pictures PREFIX-1.svg and so on: what a telephone reads from them, one after the other, is
    /// the same text.
    #[arg(long, value_name = "PREFIX")]
    qr: Option<PathBuf>,
}

pub(super) fn run(arguments: &RequestArguments, output: &Output) -> Result<(), Failure> {
    let signed = documents::read::<JoinRequest>(&arguments.file)?;
    let site = signed.verify()?;
    let pictures = arguments.qr.as_ref().map(|prefix| write_qr(prefix, &signed)).transpose()?.unwrap_or_default();
    let (digest, words) = (signed.digest(), fingerprint::words(&signed.digest()));
    let value = json!({ "name": site.name, "kind": site.kind, "jurisdiction": site.jurisdiction, "roles": site.roles,
                        "addresses": site.addresses, "owner": site.owner, "vendor": site.vendor, "network": site.network,
                        "identity": site.identity.to_string(), "fingerprint": digest.to_string(),
                        "fingerprint_words": words, "qr": pictures });
    output.result(&value, || {
        let role = |holds: bool, what: &'static str| holds.then_some(what);
        let roles: Vec<&str> =
            [role(site.roles.shards, "shards"), role(site.roles.shares, "shares")].into_iter().flatten().collect();
        let mut lines = vec![
            format!(
                "site {} asks to join: {:?} in {}, for {}",
                site.name,
                site.kind,
                site.jurisdiction,
                roles.join(" and ")
            ),
            format!("  reached at  {}", site.addresses.join(", ")),
            format!("  identity    {}", site.identity),
            format!("  fingerprint {digest}"),
            format!("  in words    {words}"),
            "  signed by this identity: yes. Whose it is, only the operator's voice tells".to_owned(),
        ];
        for (what, text) in [("building", &site.owner), ("vendor", &site.vendor), ("network", &site.network)] {
            lines.extend(text.iter().map(|text| format!("  {what:<11} {text}")));
        }
        lines.extend(pictures.iter().map(|picture| format!("  picture     {}", picture.display())));
        lines.join("\n")
    });
    Ok(())
}

/// Text of one code: a telephone reads it from a screen.
const CODE_BYTES_MAX: usize = 1_200;

fn codes_of(signed: &Signed<JoinRequest>) -> Result<Vec<QrCode>, Failure> {
    let text = protocol::armor::armor(JoinRequest::KIND, &signed.encode());
    let codes =
        text.as_bytes().chunks(CODE_BYTES_MAX).map(|part| QrCode::with_error_correction_level(part, EcLevel::L));
    codes.collect::<Result<_, _>>().map_err(Failure::unexpected)
}

fn write_qr(prefix: &Path, signed: &Signed<JoinRequest>) -> Result<Vec<PathBuf>, Failure> {
    let mut pictures = Vec::new();
    for (number, code) in (1..).zip(codes_of(signed)?) {
        let path = PathBuf::from(format!("{}-{number}.svg", prefix.display()));
        let picture = code.render::<svg::Color<'_>>().min_dimensions(600, 600).build();
        documents::write_text(&path, &picture)?;
        pictures.push(path);
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use protocol::document::{Roles, Site, SiteKind, SiteState};
    use protocol::signature::Keypair;
    use shard_codec::SealingSecretKey;

    use super::*;

    /// What a telephone would read is the request.
    #[test]
    fn a_request_goes_through_a_qr_code() {
        let mut rng = crate::entropy::rng();
        let identity = Keypair::generate(&mut rng);
        let site = Site {
            name: "lu-vault".parse().unwrap(),
            kind: SiteKind::DataCentre,
            jurisdiction: "LU".to_owned(),
            owner: Some("A building of the state of Luxembourg".to_owned()),
            vendor: None,
            network: Some("A network of the state of Luxembourg".to_owned()),
            roles: Roles { shards: true, shares: true },
            identity: identity.public(),
            sealing_key: SealingSecretKey::generate(&mut rng).public().as_bytes().to_vec(),
            addresses: vec!["/dns4/vault.example.lu/tcp/7000".to_owned(), "/ip6/2001:db8::7/tcp/7000".to_owned()],
            state: SiteState::Active,
            succeeds: None,
            agreement: None,
        };
        let signed = Signed::sign_new(JoinRequest { site }, &identity).unwrap();
        let read = |code: &QrCode| {
            // Four pixels a module, and the quiet zone around it.
            let (width, colors) = (code.width(), code.to_colors());
            let pixel = |x: usize, y: usize| {
                let module = |at: usize| (at / 4).checked_sub(4).filter(|at| *at < width);
                let is_dark =
                    module(x).zip(module(y)).is_some_and(|(x, y)| colors[y * width + x] == qrcode::Color::Dark);
                if is_dark { 0 } else { 255 }
            };
            let side = (width + 8) * 4;
            let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, pixel);
            picture.detect_grids().remove(0).decode().unwrap().1
        };
        let codes = codes_of(&signed).unwrap();
        let text: String = codes.iter().map(read).collect();
        let bytes = protocol::armor::dearmor(JoinRequest::KIND, &text, 16 << 10).unwrap();
        assert_eq!(Signed::<JoinRequest>::decode(&bytes).unwrap().digest(), signed.digest());
        println!("{} bytes of text in {} codes of {} modules", text.len(), codes.len(), codes[0].width());
    }
}
