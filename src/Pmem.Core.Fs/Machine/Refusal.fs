namespace Pmem

open System
open System.Globalization

/// A kind of file, as far as mapping it goes.
type FileKind =
    /// A regular file.
    | RegularFile
    /// <summary>A device-DAX character device, <c>/dev/daxX.Y</c>.</summary>
    | DaxDevice
    /// A directory.
    | Directory
    /// A named pipe.
    | Fifo
    /// A character or block device that is not device DAX, or a socket.
    | OtherFile

    /// In words, with the article.
    override kind.ToString() =
        match kind with
        | RegularFile -> "a regular file"
        | DaxDevice -> "a device-DAX device"
        | Directory -> "a directory"
        | Fifo -> "a named pipe (FIFO)"
        | OtherFile -> "a device or socket"

/// A request that is refused for a reason that can be foreseen. Each says what was asked, what was found and what to do.
type Refusal =
    /// An environment variable has a value that it cannot have.
    | BadEnvironment of Variable: string * Value: string * Expected: string
    /// The machine's cache line is larger than a page, or no power of two, or the page is.
    | BadGeometry of What: string * Bytes: int64
    /// A length that is not positive.
    | LengthNotPositive of Length: int64
    /// A length that is not a multiple of the unit in which the file is mapped.
    | LengthNotAligned of Length: int64 * UnitBytes: int64
    /// An offset that is negative or not a multiple of the unit in which the file can be mapped.
    | OffsetNotAligned of Offset: int64 * UnitBytes: int64
    /// An offset behind the end of the file, or a range that does not lie in it; a length of 0 is up to the end.
    | OutsideFile of Offset: int64 * Length: int64 * FileLength: int64
    /// A file without bytes.
    | FileIsEmpty
    /// Something that cannot be mapped as persistent memory.
    | NotMappable of Kind: FileKind
    /// A device has one length, and it is not the one asked for.
    | DeviceLength of Asked: int64 * Actual: int64
    /// An existing file is longer than what was asked for.
    | WouldShorten of FileLength: int64 * Asked: int64
    /// A live mapping of this process reaches further than what was asked for.
    | WouldCutMapping of MappedEnd: int64 * Asked: int64
    /// Two options that exclude each other.
    | Contradiction of First: string * Second: string
    /// An option that means nothing for what was asked.
    | DoesNotApply of Option: string * To: string
    /// A set of flags with a bit that means nothing.
    | UnknownFlags of Flags: int
    /// The mapping's granularity is coarser than the one required.
    | GranularityTooCoarse of Required: StoreGranularity * Found: StoreGranularity * Why: string
    /// A descriptor that was opened to write only.
    | WriteOnly
    /// Memory that somebody else mapped, and that cannot be taken for a mapping.
    | NotAdoptable of Why: string
    /// What the kernel, or this kind of source, does not say.
    | NotKnown of Why: string
    /// Address space that is in use, or that a reservation does not have.
    | NoAddressSpace of Why: string
    /// A mapping that cannot become longer.
    | CannotGrow of Why: string
    /// A device-DAX mapping on which nothing that this process may do makes a store durable.
    | NoWayToPersist of Why: string

    /// The sentence for a person: what is wrong, and what to do.
    override refusal.ToString() =
        let say, number = Words.fill, Words.number

        match refusal with
        | BadEnvironment(variable, value, expected) ->
            say "The environment variable {0} is \"{1}\"; it must be {2}, or be unset." [ variable; value; expected ]
        | BadGeometry(what, size) ->
            say "{0} of {1} bytes is not one that this library knows; it must be a power of two." [ what; number size ]
        | GranularityTooCoarse(required, found, why) ->
            let values = [ required.ToString(); found.ToString(); why ]
            say "A store granularity of one {0} was required, but here it is one {1}: {2}." values
        | NoWayToPersist why ->
            say "Nothing that this process may do makes a store to this device durable: {0}." [ why ]
        | NoAddressSpace why -> say "There is no address space for it: {0}." [ why ]
        | WriteOnly ->
            "It is open to write only, and mmap(2) needs it open to read, also for a mapping that is only stored to; open it to read and write."
        | NotAdoptable why -> say "The memory cannot be adopted: {0}." [ why ]
        | NotKnown why -> say "That is not known: {0}." [ why ]
        | CannotGrow why -> say "The mapping cannot grow: {0}." [ why ]
        | Contradiction(first, second) -> say "{0} and {1} exclude each other; leave one out." [ first; second ]
        | DoesNotApply(option, what) -> say "{0} does not apply to {1}; leave it out." [ option; what ]
        | UnknownFlags flags ->
            say "The flags 0x{0} are not all known." [ flags.ToString("X", CultureInfo.InvariantCulture) ]
        | FileIsEmpty -> "The file is empty; there is nothing to map. Create it with a length first."
        | NotMappable kind ->
            say "It is {0}; only regular files and device-DAX devices can be mapped." [ kind.ToString() ]
        | LengthNotPositive _
        | LengthNotAligned _
        | OffsetNotAligned _
        | OutsideFile _
        | DeviceLength _
        | WouldShorten _
        | WouldCutMapping _ -> refusal.OfNumbers()

    /// No negative length is ever named: it is nobody's length.
    member private refusal.OfNumbers() =
        let say, number = Words.fill, Words.number

        match refusal with
        | LengthNotPositive 0L -> "A length of 0 bytes was asked for; it must be at least 1."
        | LengthNotPositive _ -> "A negative length was asked for; it must be at least 1."
        | LengthNotAligned(length, unitBytes) ->
            say
                "The length {0} cannot be mapped; give a multiple of {1}, the unit in which this file is mapped."
                [ number length; number unitBytes ]
        | OffsetNotAligned(offset, unitBytes) ->
            say
                "The offset {0} cannot be mapped; give a multiple of {1}, the unit in which this file is mapped."
                [ number offset; number unitBytes ]
        | OutsideFile(offset, length, fileLength) when offset >= fileLength || length = 0L ->
            say
                "The offset {0} is not before the end of the file, which has {1} bytes."
                [ number offset; number fileLength ]
        | OutsideFile(offset, length, fileLength) ->
            say
                "The range of {0} bytes at offset {1} does not lie in the file, which has {2} bytes."
                [ number length; number offset; number fileLength ]
        | DeviceLength(asked, actual) ->
            say
                "A length of {0} bytes was asked for, but the device has {1}; give 0 or exactly that."
                [ number asked; number actual ]
        | WouldShorten(fileLength, asked) ->
            say
                "The file has {0} bytes, and would be cut to {1}; ask for {0} or more, or set Truncate to lose the rest."
                [ number fileLength; number asked ]
        | WouldCutMapping(mappedEnd, asked) ->
            say
                "This process has the file mapped up to byte {0}, and it would be cut to {1}; dispose that mapping first."
                [ number mappedEnd; number asked ]
        | _ -> ""

    /// Whether both are the same value.
    static member op_Equality(left: Refusal, right: Refusal) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Refusal, right: Refusal) = not (Object.Equals(left, right))
