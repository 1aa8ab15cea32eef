@echo off
rem Paket with the package feed of the user's own NuGet configuration; see paket.sh.
setlocal
for %%r in ("%~dp0..") do set "PMEM_ROOT=%%~fr"
echo %CD%\| findstr /b /i /l /c:"%PMEM_ROOT%\\" >nul || cd /d "%PMEM_ROOT%"
if not defined NUGET_SOURCE (
  for /f "tokens=1,*" %%a in ('dotnet nuget list source --format short') do (
    if "%%a"=="E" if not defined NUGET_SOURCE set "NUGET_SOURCE=%%b"
  )
)
if not defined NUGET_SOURCE (echo paket.cmd: no enabled NuGet source; see 'dotnet nuget list source' 1>&2 & exit /b 1)
dotnet tool restore --verbosity quiet || exit /b 1
dotnet paket %* || exit /b 1
if not exist "%PMEM_ROOT%\paket.lock" exit /b 0
powershell -NoProfile -Command "$f = Join-Path $env:PMEM_ROOT 'paket.lock'; $t = [IO.File]::ReadAllText($f); $n = $t.Replace($env:NUGET_SOURCE, '%%NUGET_SOURCE%%'); if ($n -ne $t) { [IO.File]::WriteAllText($f, $n) }"
