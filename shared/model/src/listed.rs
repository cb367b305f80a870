//! Enums whose variants can be walked through.

/// Declares an enum of plain variants with `ALL`, so that no list of them beside it can be forgotten.
macro_rules! listed {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident),* $(,)? }
    ) => {
        $(#[$doc])*
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Every one of them, in the order of their declaration.
            pub const ALL: [Self; [$(stringify!($variant)),*].len()] = [$(Self::$variant),*];
        }
    };
}

pub(crate) use listed;
