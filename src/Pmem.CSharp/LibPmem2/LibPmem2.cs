using System.Runtime.Versioning;

namespace Pmem;

/// <summary>
/// The functions of libpmem2, one to one, for code that is ported line by line: same arguments, same order of checks, 0 or a negative
/// code (<see cref="Pmem2Error"/>, or minus errno), the message in <see cref="ErrorMsg"/>. docs/libpmem.md has the table.
/// </summary>
/// <remarks>
/// Thin over <see cref="PmemSource"/>, <see cref="AddressReservation"/> and <see cref="PmemMapping"/>, which new code is better served by. As
/// in C, what the functions of a mapping (<see cref="GetPersistFn"/> …) are given is the caller's responsibility.
/// </remarks>
[SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
public static unsafe partial class LibPmem2
{
    [ThreadStatic] private static string? t_error;

    /// <summary><c>pmem2_config_new</c>: a configuration with defaults. The granularity must be set.</summary>
    public static int ConfigNew(out Pmem2Config? config)
    {
        config = new Pmem2Config();
        return 0;
    }

    /// <summary><c>pmem2_config_delete</c></summary>
    public static int ConfigDelete(ref Pmem2Config? config)
    {
        config = null;
        return 0;
    }

    /// <summary><c>pmem2_config_set_required_store_granularity</c>: the coarsest that is acceptable.</summary>
    public static int ConfigSetRequiredStoreGranularity(Pmem2Config config, Pmem2Granularity granularity)
    {
        StoreGranularity? known = Known(granularity);
        if (known is null) return Fail(Pmem2Error.GranularityNotSupported, $"unknown granularity {(int)granularity}");
        config.Required = known;
        return 0;
    }

    /// <summary><c>pmem2_config_set_offset</c>: the first byte of the source; 0 by default.</summary>
    public static int ConfigSetOffset(Pmem2Config config, nuint offset)
    {
        if (offset > long.MaxValue) return Fail(Pmem2Error.OffsetOutOfRange, $"offset {offset} is over 2^63 - 1");
        config.Offset = (long)offset;
        return 0;
    }

    /// <summary><c>pmem2_config_set_length</c>: how many bytes; 0, the default, for all that there are.</summary>
    public static int ConfigSetLength(Pmem2Config config, nuint length)
    {
        config.Length = length;
        return 0;
    }

    /// <summary><c>pmem2_config_set_sharing</c>: shared, the default, or a private copy.</summary>
    public static int ConfigSetSharing(Pmem2Config config, Pmem2Sharing sharing)
    {
        if (sharing is not (Pmem2Sharing.Shared or Pmem2Sharing.Private)) return Fail(Pmem2Error.InvalidSharingValue, $"unknown sharing {(int)sharing}");
        config.IsPrivate = sharing == Pmem2Sharing.Private;
        return 0;
    }

    /// <summary><c>pmem2_config_set_protection</c>: Read and Write by default.</summary>
    public static int ConfigSetProtection(Pmem2Config config, Pmem2Protection protection)
    {
        const Pmem2Protection known = Pmem2Protection.Read | Pmem2Protection.Write | Pmem2Protection.Exec;
        if ((protection & ~known) != 0) return Fail(Pmem2Error.InvalidProtectionFlag, $"unknown protection 0x{(uint)(protection & ~known):x}");
        config.Protection = (protection.HasFlag(Pmem2Protection.Read) ? PmemProtection.Read : 0)
            | (protection.HasFlag(Pmem2Protection.Write) ? PmemProtection.Write : 0)
            | (protection.HasFlag(Pmem2Protection.Exec) ? PmemProtection.Execute : 0);
        return 0;
    }

    /// <summary><c>pmem2_config_set_vm_reservation</c>: where in a reservation the mapping is to be.</summary>
    public static int ConfigSetVmReservation(Pmem2Config config, Pmem2VmReservation? reservation, nuint offset)
    {
        (config.Reservation, config.ReservationOffset) = (reservation, offset);
        return 0;
    }

    /// <summary><c>pmem2_errormsg</c>: what the last function that failed on this thread had to say; empty before.</summary>
    public static string ErrorMsg() => t_error ?? "";

    /// <summary><c>pmem2_perror</c>: writes the text, a colon and the message to standard error.</summary>
    public static void PError(string text) => Console.Error.WriteLine($"{text}: {ErrorMsg()}");

    /// <summary><c>pmem2_err_to_errno</c>: EOPNOTSUPP for NotSupported, EINVAL for every other code of libpmem2's own.</summary>
    public static int ErrToErrno(int error) => error switch
    {
        Pmem2Error.NotSupported => Errno.EOPNOTSUPP,
        <= Pmem2Error.Unknown => Errno.EINVAL,
        _ => -error,
    };

    private static StoreGranularity? Known(Pmem2Granularity granularity) => granularity switch
    {
        Pmem2Granularity.Byte => StoreGranularity.Byte,
        Pmem2Granularity.CacheLine => StoreGranularity.CacheLine,
        Pmem2Granularity.Page => StoreGranularity.Page,
        _ => null,
    };

    private static int Fail(int code, string message)
    {
        t_error = message;
        return code;
    }

    /// <summary>Runs it: what it returns, or the code of what it threw; a refusal that has a code of its own here, where one is given.</summary>
    private static int Try(Func<int> call, int notKnown = Pmem2Error.NotSupported)
    {
        try { return call(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or InvalidOperationException)
        {
            return Fail(CodeOf(e, notKnown), e.Message);
        }
    }

    private static int CodeOf(Exception e, int notKnown) => (e as PmemException)?.Refusal switch
    {
        Refusal.GranularityTooCoarse => Pmem2Error.GranularityNotSupported,
        Refusal.NotMappable => Pmem2Error.InvalidFileType,
        { IsWriteOnly: true } => Pmem2Error.InvalidFileHandle,
        Refusal.NoAddressSpace => Pmem2Error.MappingExists,
        Refusal.NotAdoptable => Pmem2Error.MapExists,
        Refusal.NotKnown => notKnown,
        { IsFileIsEmpty: true } => Pmem2Error.SourceEmpty,
        _ => Failures.ErrnoOf(e) is var number && number == Errno.EACCES ? Pmem2Error.NoAccess : -number,
    };
}
