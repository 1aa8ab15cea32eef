namespace Pmem

/// <summary>Rounding to units that are a power of two, by their mask (the unit less one): cache lines, pages.</summary>
/// <remarks>For offsets in a mapping and for addresses, which never reach the end of 64 bits. No division: the executor does this
/// for each persist.</remarks>
module internal Units =
    /// The start of the unit that a byte lies in.
    let down (mask: int64) (at: int64) = at &&& ~~~mask

    /// The start of the unit after the bytes that end here; the end itself where it is one.
    let up (mask: int64) (at: int64) = (at + mask) &&& ~~~mask
