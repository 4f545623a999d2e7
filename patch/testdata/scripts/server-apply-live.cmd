@echo off
setlocal EnableExtensions DisableDelayedExpansion
rem Applies the changes of this package, and takes them back.
rem Machine: TS01 ?TS01-live-6f8bc4cb1947?
rem Time: 2024-01-17T21:20:00Z
rem SYSTEM: SHA-256 6f8bc4cb19471f0dffcd74c5089beea1028e4bf020a0747f55ad98c660a98325
rem SOFTWARE: SHA-256 85d200c2b688832d9976df2cb13f8c94fa78d454b1e953c7ef32fa09c0cb8384
rem Needs nothing but cmd and reg.exe. Judges by exit codes alone, never by words.
rem Exit codes: 0 done, or nothing to do; 1 with /check: something to do; 2 refused or failed.
set "ERRORLEVEL="
rem Files of the package are named from its own folder: its path may hold
rem anything, and is put into no command.
pushd "%~dp0" >nul 2>nul
set "MODE=apply"
set "BACKUP="
set "CHANGED="
set "REG=%SystemRoot%\System32\reg.exe"
if not exist "%REG%" set "REG=reg.exe"
set "SCRATCH=HKCU\Software\hivemend-b3e676a9"
set "CFG=%SystemRoot%\System32\config"

:arguments
if "%~1"=="" goto start
if /i "%~1"=="/check" goto argument_check
if /i "%~1"=="/undo" goto argument_undo
goto usage
:argument_check
set "MODE=check"
shift
goto arguments
:argument_undo
set "MODE=undo"
shift
goto arguments

:start
if not exist plan.json goto not_here
echo hivemend package b3e676a9 for TS01, on the running machine
if defined PROCESSOR_ARCHITEW6432 goto wrong_cmd
"%REG%" query HKU\S-1-5-19 >nul 2>nul
if not "%ERRORLEVEL%"=="0" goto not_admin
call :load_expected
if not "%RC%"=="0" goto expected_failed
"%REG%" compare "HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName" "%SCRATCH%\name" /v ComputerName >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="2" echo WARNING: this computer has another name than the one the package was made for.
if "%RC%"=="2" echo          What the places below hold decides.
if not "%RC%"=="0" if not "%RC%"=="2" goto name_failed
call :judge
if "%MODE%"=="undo" goto undo
if not "%BAD%"=="0" goto refused
if "%MODE%"=="check" goto checked
if "%PENDING%"=="0" goto nothing_to_do

call :new_backup
if not "%RC%"=="0" goto backup_failed
set "PHASE=kept"
call :keep
if not "%RC%"=="0" goto backup_failed
echo Backup: "%BACKUP%"
set "CHANGED=1"
"%REG%" import fix.reg >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto import_failed
call :judge
if not "%PENDING%%BAD%"=="00" goto not_proved
echo Done and proved: every place holds what is wanted.
echo Next: restart this machine, and go on with RUNBOOK.md.
goto end

:checked
if "%PENDING%"=="0" goto nothing_to_do
echo The change can be made here. Nothing was changed.
call :clean
exit /b 1

:nothing_to_do
echo Nothing to do: the change stands. Nothing was changed.
goto end

:undo
if not "%BAD%"=="0" goto undo_refused
if "%DONE%"=="0" goto nothing_to_undo
call :new_backup
if not "%RC%"=="0" goto backup_failed
set "PHASE=kept"
call :keep
if not "%RC%"=="0" goto backup_failed
echo Backup: "%BACKUP%"
set "CHANGED=1"
"%REG%" import undo.reg >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto import_failed
call :judge
if not "%DONE%%BAD%"=="00" goto not_proved
echo Taken back and proved: every place holds what it held before.
echo Next: restart this machine.
goto end

:nothing_to_undo
echo Nothing to undo: the places hold what they held before. Nothing was changed.
goto end

:end
call :clean
exit /b 0

:clean
"%REG%" delete "%SCRATCH%" /f >nul 2>nul
popd
goto :eof

:not_here
echo FAILED: the files of the package are not beside this script, or its folder cannot be entered.
goto failed
:wrong_cmd
echo REFUSED: this is the 32-bit command processor on 64-bit Windows, which sees another registry.
echo Start %SystemRoot%\System32\cmd.exe from the Start menu, and run this file there.
goto failed
:not_admin
echo REFUSED: the registry cannot be read as an administrator. Open the command prompt with
echo "Run as administrator". Where reg.exe is missing (Windows 2000), see RUNBOOK.md.
goto failed
:expected_failed
echo FAILED: the values to compare with could not be loaded from expected.reg (reg.exe ended with %RC%).
goto failed
:name_failed
echo FAILED: the computer name could not be compared (reg.exe ended with %RC%).
goto failed
:refused
echo REFUSED: a place holds neither what the package expects nor what it wants.
echo The machine has changed since the package was made: make a new one.
goto failed
:undo_refused
echo REFUSED: a place holds other data than the package left there. Where Windows has made a new
echo certificate, the old one would meet a new private key: leave it as it is.
goto failed
:backup_failed
echo FAILED: the keys could not be backed up (reg.exe ended with %RC%).
goto failed
:import_failed
echo FAILED: the change could not be made, or only in part (reg.exe ended with %RC%).
goto failed
:not_proved
echo FAILED: the change was made, but a place does not hold what is wanted.
goto failed
:failed
if not defined CHANGED echo Nothing was changed.
if defined CHANGED echo Run this file again with /check to see what stands now.
if defined BACKUP echo What was there before is in "%BACKUP%"
if not defined BACKUP echo No new backup was made.
if exist backup echo The keys as they were when the package was made are in "%CD%\backup"
call :clean
exit /b 2

:usage
echo Usage: apply-live.cmd [/check ^| /undo]
echo   without anything: checks, backs up, makes the change, proves it
echo   /check   looks, and changes nothing
echo   /undo    takes the change back
popd
exit /b 2

rem Looks at every place that the package changes: PENDING counts those that hold
rem what was there before, DONE those that hold what is wanted, BAD the others.
:judge
set PENDING=0
set DONE=0
set BAD=0
set "N=1"
set "WHAT=HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM value Certificate"
set "K=HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM"
set V=/v "Certificate"
call :delete_value
set "N=2"
set "WHAT=HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM value Keep"
set "K=HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM"
set V=/v "Keep"
call :set_value
set "N=3"
set "WHAT=HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM value New ? ?1?"
set "K=HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM"
set V=/v "New & (1)"
call :new_value
goto :eof

:delete_value
"%REG%" query "%K%" %V% >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="1" goto is_done
if not "%RC%"=="0" goto is_unknown
"%REG%" compare "%K%" "%SCRATCH%\before\%N%" %V% >nul 2>nul
goto compared_before

:delete_key
"%REG%" query "%K%" >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="1" goto is_done
if not "%RC%"=="0" goto is_unknown
"%REG%" compare "%K%" "%SCRATCH%\before\%N%" /s >nul 2>nul
goto compared_before

:set_value
"%REG%" query "%K%" %V% >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="1" goto is_bad
if not "%RC%"=="0" goto is_unknown
"%REG%" compare "%K%" "%SCRATCH%\after\%N%" %V% >nul 2>nul
if "%ERRORLEVEL%"=="0" goto is_done
"%REG%" compare "%K%" "%SCRATCH%\before\%N%" %V% >nul 2>nul
goto compared_before

:new_value
"%REG%" query "%K%" %V% >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="1" goto is_to_do
if not "%RC%"=="0" goto is_unknown
"%REG%" compare "%K%" "%SCRATCH%\after\%N%" %V% >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="0" goto is_done
if "%RC%"=="2" goto is_bad
goto is_unknown

:create_key
"%REG%" query "%K%" >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="1" goto is_to_do
if "%RC%"=="0" goto is_done
goto is_unknown

rem For values whose name plain ASCII cannot say: all values of their key.
:whole_key
"%REG%" compare "%K%" "%SCRATCH%\after\%N%" >nul 2>nul
if "%ERRORLEVEL%"=="0" goto is_done
"%REG%" compare "%K%" "%SCRATCH%\before\%N%" >nul 2>nul
goto compared_before

:compared_before
set "RC=%ERRORLEVEL%"
if "%RC%"=="0" goto is_to_do
if "%RC%"=="2" goto is_bad
goto is_unknown

:is_to_do
set /a PENDING+=1 >nul
echo   as before   %WHAT%
goto :eof

:is_done
set /a DONE+=1 >nul
echo   as wanted   %WHAT%
goto :eof

:is_bad
set /a BAD+=1 >nul
echo   OTHER DATA  %WHAT%
goto :eof

:is_unknown
set /a BAD+=1 >nul
echo   UNREADABLE  %WHAT% (reg.exe ended with %RC%)
goto :eof

:load_expected
"%REG%" delete "%SCRATCH%" /f >nul 2>nul
"%REG%" import expected.reg >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto :eof
"%REG%" query "%SCRATCH%" >nul 2>nul
set "RC=%ERRORLEVEL%"
goto :eof

rem A new folder for what is there now, beside the hives, where only
rem administrators may read.
:new_backup
set "KIND="
if "%MODE%"=="undo" set "KIND=undo-"
set NUMBER=1
:next_number
set "BACKUP=%CFG%\hivemend-b3e676a9-%KIND%%NUMBER%"
if not exist "%BACKUP%" goto make_backup
set /a NUMBER+=1 >nul
if %NUMBER% LEQ 99 goto next_number
set "BACKUP="
set "RC=1"
goto :eof
:make_backup
mkdir "%BACKUP%" >nul 2>nul
set "RC=0"
if not exist "%BACKUP%" set "RC=1"
if "%RC%"=="1" set "BACKUP="
goto :eof

rem Copies the keys under the scratch key and exports them from there: of a key
rem whose values are changed its own values, never its subkeys.
:keep
set "RC=0"
"%REG%" delete "%SCRATCH%\%PHASE%" /f >nul 2>nul
if "%RC%"=="0" set "N=1"
if "%RC%"=="0" set "K=HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server\RCM"
if "%RC%"=="0" set "DEEP="
if "%RC%"=="0" call :keep_one
goto :eof
:keep_one
"%REG%" query "%K%" >nul 2>nul
set "RC=%ERRORLEVEL%"
if "%RC%"=="0" goto keep_it
if not "%RC%"=="1" goto :eof
set "RC=0"
"%REG%" add "%SCRATCH%\%PHASE%\absent\%N%" /f >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto :eof
"%REG%" export "%SCRATCH%\%PHASE%\absent\%N%" "%BACKUP%\%PHASE%-%N%.reg" >nul 2>nul
set "RC=%ERRORLEVEL%"
goto :eof
:keep_it
"%REG%" copy "%K%" "%SCRATCH%\%PHASE%\%N%" %DEEP% /f >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto :eof
"%REG%" compare "%K%" "%SCRATCH%\%PHASE%\%N%" %DEEP% >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto :eof
"%REG%" export "%SCRATCH%\%PHASE%\%N%" "%BACKUP%\%PHASE%-%N%.reg" >nul 2>nul
set "RC=%ERRORLEVEL%"
if not exist "%BACKUP%\%PHASE%-%N%.reg" set "RC=1"
goto :eof
