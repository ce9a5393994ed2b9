//! People and parcels that never were, the same ones in every run.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const FIRST_NAMES: [&str; 32] = [
    "T\u{f5}nis",
    "J\u{fc}ri",
    "M\u{e4}rt",
    "K\u{fc}lli",
    "\u{dc}lle",
    "P\u{e4}rtel",
    "Leelo",
    "Maarja",
    "Kaarel",
    "Liisbet",
    "Andres",
    "Eevi",
    "Riho",
    "Sirje",
    "Toomas",
    "Kristjan",
    "Anneli",
    "Rasmus",
    "Piret",
    "Heiki",
    "Merike",
    "Jaanus",
    "K\u{e4}tlin",
    "Siim",
    "Marju",
    "Urmas",
    "Triinu",
    "Olev",
    "Helve",
    "Madis",
    "Imbi",
    "Rein",
];
const FAMILY_NAMES: [&str; 36] = [
    "P\u{f5}ldsepp",
    "J\u{f5}esaar",
    "R\u{e4}tsep",
    "M\u{fc}\u{fc}rsepp",
    "Kuusem\u{e4}e",
    "\u{d5}unapuu",
    "Tammsalu",
    "Lepikov",
    "Saarem\u{e4}e",
    "V\u{e4}lja",
    "Kivirand",
    "Metsam\u{e4}rt",
    "Haavasalu",
    "Rebaste",
    "Nurmekivi",
    "Sookask",
    "Ojakallas",
    "Raudkepp",
    "Kuldvere",
    "Ilvesmets",
    "Karuk\u{e4}pp",
    "Toomingas",
    "Vahtram\u{e4}e",
    "P\u{e4}rnoja",
    "Laanesalu",
    "Merilaid",
    "Rannapuu",
    "Sepapoeg",
    "Kalamees",
    "M\u{f5}isavald",
    "Allikvee",
    "Pajuste",
    "Kadakmaa",
    "Linnuse",
    "Varblane",
    "Hallikivi",
];
const COUNTIES: [(&str, [&str; 4]); 10] = [
    ("Harju maakond", ["Anija vald", "Kose vald", "Saue vald", "Viimsi vald"]),
    ("Tartu maakond", ["Elva vald", "Kambja vald", "Luunja vald", "Peipsi\u{e4}\u{e4}re vald"]),
    ("P\u{e4}rnu maakond", ["H\u{e4}\u{e4}demeeste vald", "Saarde vald", "Tori vald", "Kihnu vald"]),
    ("Saare maakond", ["Saaremaa vald", "Muhu vald", "Ruhnu vald", "Leisi vald"]),
    ("Viljandi maakond", ["Mulgi vald", "P\u{f5}hja-Sakala vald", "Viljandi vald", "Tarvastu vald"]),
    ("V\u{f5}ru maakond", ["Antsla vald", "R\u{f5}uge vald", "Setomaa vald", "V\u{f5}ru vald"]),
    ("J\u{e4}rva maakond", ["J\u{e4}rva vald", "Paide linn", "T\u{fc}ri vald", "Imavere vald"]),
    ("Rapla maakond", ["Kehtna vald", "Kohila vald", "M\u{e4}rjamaa vald", "Rapla vald"]),
    ("L\u{e4}\u{e4}ne-Viru maakond", ["Haljala vald", "Kadrina vald", "Tapa vald", "V\u{e4}ike-Maarja vald"]),
    ("Valga maakond", ["Otep\u{e4}\u{e4} vald", "T\u{f5}rva vald", "Valga vald", "Sangaste vald"]),
];
const FARMS: [&str; 24] = [
    "Kase",
    "Uustalu",
    "M\u{e4}e",
    "Nurga",
    "Allika",
    "Saare",
    "Tamme",
    "J\u{f5}e",
    "Metsa",
    "V\u{e4}lja",
    "Oja",
    "Sepa",
    "Kivi",
    "K\u{fc}nka",
    "P\u{e4}rna",
    "Lepiku",
    "Toome",
    "Rehe",
    "Aia",
    "K\u{f5}rtsi",
    "Veski",
    "Raja",
    "Soone",
    "Luha",
];
const PURPOSES: [&str; 8] = [
    "elamumaa 100%",
    "maatulundusmaa 100%",
    "\u{e4}rimaa 60%, elamumaa 40%",
    "tootmismaa 100%",
    "kaitsealune maa 100%",
    "transpordimaa 100%",
    "sihtotstarbeta maa 100%",
    "\u{fc}hiskondlike ehitiste maa 100%",
];
const LENDERS: [&str; 4] =
    ["Maapank AS", "P\u{f5}hja Hoiu\u{fc}histu", "Rannarootsi Laen O\u{dc}", "Riigi Tagatisfond"];

/// Draws the contents of the register from one seed.
pub(super) struct Inventor(StdRng);

/// One person.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) personal_code: String,
    pub(super) address: String,
    pub(super) email: String,
}

/// One parcel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) number: String,
    pub(super) county: &'static str,
    pub(super) municipality: &'static str,
    pub(super) address: String,
    pub(super) purpose: &'static str,
    pub(super) area_m2: i64,
    pub(super) value_cents: i64,
    pub(super) mortgage: Option<(&'static str, i64)>,
    pub(super) boundary: String,
    pub(super) registered: String,
}

impl Inventor {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number from `first` to `last`.
    pub(super) fn between(&mut self, first: i64, last: i64) -> i64 {
        self.0.random_range(first..=last)
    }

    fn one_of<T: Copy>(&mut self, all: &[T], otherwise: T) -> T {
        let position = self.0.random_range(0..all.len().max(1));
        all.get(position).copied().unwrap_or(otherwise)
    }

    fn place(&mut self) -> (&'static str, &'static str, String) {
        let (county, municipalities) = self.one_of(&COUNTIES, ("", [""; 4]));
        let municipality = self.one_of(&municipalities, "");
        let (farm, yard) = (self.one_of(&FARMS, ""), self.between(1, 188));
        (county, municipality, format!("{farm} tee {yard}, {municipality}"))
    }

    pub(super) fn owner(&mut self, id: i64) -> Owner {
        let (first, family) = (self.one_of(&FIRST_NAMES, ""), self.one_of(&FAMILY_NAMES, ""));
        let (year, month, day) = (self.between(30, 99), self.between(1, 12), self.between(1, 28));
        let personal_code = format!("{}{year:02}{month:02}{day:02}{:04}", self.between(3, 4), self.between(0, 9_999));
        let (county, _, address) = self.place();
        let email = format!("omanik{id}.{:04x}@naide.example", self.between(0, 0xffff));
        Owner { name: format!("{first} {family}"), personal_code, address: format!("{address}, {county}"), email }
    }

    /// Parcel `id`, from 1; no two ids have one number.
    pub(super) fn parcel(&mut self, id: i64) -> Parcel {
        let within = id % 3_000;
        let number = format!("{:05}:{:03}:{:04}", 10_001 + id / 3_000 * 17 % 90_000, within / 40 + 1, within % 40 + 1);
        let (county, municipality, address) = self.place();
        let (mut east_dm, mut north_dm) = (self.between(3_700_000, 7_400_000), self.between(63_800_000, 66_200_000));
        let mut boundary = String::new();
        for _corner in 0..self.between(4, 8) {
            east_dm += self.between(-900, 1_400);
            north_dm += self.between(-900, 1_400);
            boundary.push_str(&format!(
                "{}.{} {}.{};",
                east_dm / 10,
                east_dm.rem_euclid(10),
                north_dm / 10,
                north_dm.rem_euclid(10)
            ));
        }
        let registered = format!("{}-{:02}-{:02}", self.between(1993, 2025), self.between(1, 12), self.between(1, 28));
        Parcel {
            number,
            county,
            municipality,
            address,
            purpose: self.one_of(&PURPOSES, ""),
            area_m2: self.between(312, 486_000),
            value_cents: self.between(90_000, 98_000_000),
            mortgage: self.mortgage(),
            boundary,
            registered,
        }
    }

    /// A mortgage, or none.
    pub(super) fn mortgage(&mut self) -> Option<(&'static str, i64)> {
        let (lender, euros) = (self.one_of(&LENDERS, ""), self.between(4_000, 480_000));
        (self.between(0, 99) < 38).then_some((lender, euros))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Inventor;

    #[test]
    fn the_same_seed_invents_the_same_people_and_parcels() {
        let invent = |seed| {
            let mut inventor = Inventor::new(seed);
            let owners: Vec<_> = (1..200).map(|id| inventor.owner(id)).collect();
            let parcels: Vec<_> = (1..200).map(|id| inventor.parcel(id)).collect();
            (owners, parcels)
        };
        assert_eq!(invent(7), invent(7));
        assert_ne!(invent(7), invent(8));
    }

    #[test]
    fn numbers_are_unique_and_in_the_estonian_style() {
        let mut inventor = Inventor::new(1);
        let mut numbers = BTreeSet::new();
        for id in 1..=20_000 {
            let number = inventor.parcel(id).number;
            let lengths: Vec<_> = number.split(':').map(str::len).collect();
            assert_eq!(lengths, [5, 3, 4], "{number}");
            assert!(number.bytes().all(|byte| byte == b':' || byte.is_ascii_digit()));
            assert!(numbers.insert(number));
        }
    }
}
