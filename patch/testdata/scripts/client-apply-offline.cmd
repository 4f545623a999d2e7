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
set "SCRATCH=HKCU\Software\hivemend-f527a54e"
set "SHUTDOWN="
set "FOUND="
set COUNT=0
set "CFG="
set "LOADED="

:arguments
if "%~1"=="" goto start
if /i "%~1"=="/check" goto argument_check
if /i "%~1"=="/undo" goto argument_undo
if /i "%~1"=="/full-shutdown-done" goto argument_shutdown
goto usage
:argument_check
set "MODE=check"
shift
goto arguments
:argument_undo
set "MODE=undo"
shift
goto arguments
:argument_shutdown
set "SHUTDOWN=1"
shift
goto arguments

:start
if not exist plan.json goto not_here
echo hivemend package f527a54e for TS01, on a Windows that is not running
if defined PROCESSOR_ARCHITEW6432 goto wrong_cmd
"%REG%" query HKU\S-1-5-19 >nul 2>nul
if not "%ERRORLEVEL%"=="0" goto not_admin
set "LEFT="
"%REG%" query HKLM\OFFLINE_SYSTEM >nul 2>nul
if "%ERRORLEVEL%"=="0" set "LEFT=OFFLINE_SYSTEM"
"%REG%" query HKLM\OFFLINE_SOFTWARE >nul 2>nul
if "%ERRORLEVEL%"=="0" set "LEFT=OFFLINE_SOFTWARE"
if defined LEFT goto already_loaded
call :load_expected
if not "%RC%"=="0" goto expected_failed

rem Drive letters are another matter here than on the machine: every volume is
rem looked at, and exactly one has to be the machine's.
for %%L in (C D E F G H I J K L M N O P Q R S T U V W X Y Z A B) do call :volume %%L
if defined LOADED goto unload_failed
if "%COUNT%"=="0" goto none_matches
if not "%COUNT%"=="1" goto several_match
set "CFG=%FOUND%"
set "PENDING=%FOUND_PENDING%"
set "DONE=%FOUND_DONE%"
echo The machine's hives: "%CFG%"
if "%MODE%"=="undo" goto undo
if "%PENDING%"=="0" goto nothing_to_do
if "%MODE%"=="check" goto checked
if defined HIBERNATES if not defined SHUTDOWN goto hibernates
call :new_backup
if not "%RC%"=="0" goto backup_failed
call :back_up_hives
if defined FAULT goto backup_failed
echo Backup: "%BACKUP%"
call :compare_hives
if "%SAME%"=="1" goto copy_hives
echo The hives are not those the package was made from, or certutil is not here: the .reg file is used.
call :load_hives
if not "%RC%"=="0" goto load_failed
call :judge
if not "%BAD%"=="0" goto refused_late
set "CHANGED=1"
"%REG%" import fix-offline.reg >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto import_failed
call :judge
if not "%PENDING%%BAD%"=="00" goto not_proved
call :unload_hives
if defined LOADED goto unload_failed
:changed
echo Done and proved: every place holds what is wanted.
echo Next: start the machine, and go on with RUNBOOK.md.
goto end

:checked
if defined HIBERNATES echo It hibernates or starts fast: shut it down fully first, then add /full-shutdown-done
echo The change can be made here. Nothing was changed.
call :clean
exit /b 1

:nothing_to_do
echo Nothing to do: the change stands. Nothing was changed.
goto end

:undo
if "%DONE%"=="0" goto nothing_to_undo
if defined HIBERNATES if not defined SHUTDOWN goto hibernates
call :new_backup
if not "%RC%"=="0" goto backup_failed
call :back_up_hives
if defined FAULT goto backup_failed
echo Backup: "%BACKUP%"
call :load_hives
if not "%RC%"=="0" goto load_failed
call :judge_undo
if not "%BAD%"=="0" goto refused_late
set "CHANGED=1"
"%REG%" import undo-offline.reg >nul 2>nul
set "RC=%ERRORLEVEL%"
if not "%RC%"=="0" goto import_failed
call :judge
if not "%DONE%%BAD%"=="00" goto not_proved
call :unload_hives
if defined LOADED goto unload_failed
echo Taken back and proved: every place holds what it held before.
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

rem One drive letter.
:volume
if defined LOADED goto :eof
set "VOLUME=%1:"
if /i "%VOLUME%"=="%SystemDrive%" goto :eof
vol %VOLUME% >nul 2>nul
if not "%ERRORLEVEL%"=="0" goto unreadable
set "FOLDER=%VOLUME%\Windows"
call :folder
set "FOLDER=%VOLUME%\WINNT"
call :folder
goto :eof
:unreadable
"%REG%" query HKLM\SYSTEM\MountedDevices /v "\DosDevices\%VOLUME%" >nul 2>nul
if not "%ERRORLEVEL%"=="0" goto :eof
echo Volume %VOLUME% cannot be read: an empty drive, or perhaps BitLocker. To unlock it:
echo   manage-bde -unlock %VOLUME% -RecoveryPassword 48-DIGITS
goto :eof

rem A folder that may be a Windows: copies of its hives are loaded and looked
rem at, so that a Windows that is not meant is left as it is.
:folder
if defined LOADED goto :eof
set "CFG=%FOLDER%\System32\config"
if not exist "%CFG%\SYSTEM" goto :eof
echo Looking at "%FOLDER%"
set "WORK=%CFG%\hivemend-f527a54e-look"
if exist "%WORK%" rmdir /s /q "%WORK%" >nul 2>nul
mkdir "%WORK%" >nul 2>nul
set "FAULT="
set "TO=%WORK%"
set "H=SYSTEM"
call :copy_hive
set "H=SOFTWARE"
call :copy_hive
if defined FAULT goto not_looked_at
set "AT=%WORK%"
call :load_from
if not "%RC%"=="0" goto not_loaded
set "WRONG="
call :is_machine
if not defined WRONG call :judge_undo_or_not
if not defined WRONG if not "%BAD%"=="0" set "WRONG=a place holds other data than the package expects"
set "SLEEPS="
if exist "%VOLUME%\hiberfil.sys" set "SLEEPS=1"
call :fast_start
call :unload_hives
if defined LOADED goto :eof
rmdir /s /q "%WORK%" >nul 2>nul
if defined WRONG echo   not this one: %WRONG%
if defined WRONG goto :eof
echo   matches
set /a COUNT+=1 >nul
set "FOUND=%CFG%"
set "FOUND_PENDING=%PENDING%"
set "FOUND_DONE=%DONE%"
set "HIBERNATES=%SLEEPS%"
goto :eof
:not_looked_at
echo   not this one: its hives could not be copied to "%WORK%" (no room, or read-only)
rmdir /s /q "%WORK%" >nul 2>nul
goto :eof
:not_loaded
call :unload_hives
if defined LOADED goto :eof
echo   not this one: its hives could not be loaded
rmdir /s /q "%WORK%" >nul 2>nul
goto :eof

:is_machine
"%REG%" compare HKLM\OFFLINE_SYSTEM\Select "%SCRATCH%\select" /v Current >nul 2>nul
if not "%ERRORLEVEL%"=="0" set "WRONG=another control set is in use there than the package was made for"
"%REG%" compare "HKLM\OFFLINE_SYSTEM\ControlSet001\Control\ComputerName\ComputerName" "%SCRATCH%\name" /v ComputerName >nul 2>nul
if not "%ERRORLEVEL%"=="0" set "WRONG=it has another computer name"
goto :eof

:judge_undo_or_not
if "%MODE%"=="undo" goto judge_undo
goto judge
:judge_undo
call :judge
goto :eof

rem Hibernation and Fast Startup: a kernel that sleeps would write its own
rem registry over the change.
:fast_start
"%REG%" add "%SCRATCH%\off" /v HibernateEnabled /t REG_DWORD /d 0 /f >nul 2>nul
"%REG%" add "%SCRATCH%\off" /v HiberbootEnabled /t REG_DWORD /d 0 /f >nul 2>nul
set "P=HKLM\OFFLINE_SYSTEM\ControlSet001\Control"
"%REG%" query "%P%\Power" /v HibernateEnabled >nul 2>nul
if not "%ERRORLEVEL%"=="0" goto :eof
"%REG%" compare "%P%\Power" "%SCRATCH%\off" /v HibernateEnabled >nul 2>nul
if "%ERRORLEVEL%"=="0" goto :eof
"%REG%" query "%P%\Session Manager\Power" /v HiberbootEnabled >nul 2>nul
if not "%ERRORLEVEL%"=="0" goto :eof
"%REG%" compare "%P%\Session Manager\Power" "%SCRATCH%\off" /v HiberbootEnabled >nul 2>nul
if not "%ERRORLEVEL%"=="0" set "SLEEPS=1"
goto :eof

rem Loads the hives that lie in AT; RC is 0 where all are loaded.
:load_hives
set "AT=%CFG%"
:load_from
set "RC=0"
if "%RC%"=="0" "%REG%" load HKLM\OFFLINE_SYSTEM "%AT%\SYSTEM" >nul 2>nul
if "%RC%"=="0" set "RC=%ERRORLEVEL%"
if "%RC%"=="0" set "LOADED_SYSTEM=1"
if "%RC%"=="0" set "LOADED=1"
if "%RC%"=="0" "%REG%" load HKLM\OFFLINE_SOFTWARE "%AT%\SOFTWARE" >nul 2>nul
if "%RC%"=="0" set "RC=%ERRORLEVEL%"
if "%RC%"=="0" set "LOADED_SOFTWARE=1"
if "%RC%"=="0" set "LOADED=1"
goto :eof

:unload_hives
set "LOADED="
if defined LOADED_SYSTEM "%REG%" unload HKLM\OFFLINE_SYSTEM >nul 2>nul
if defined LOADED_SYSTEM if "%ERRORLEVEL%"=="0" set "LOADED_SYSTEM="
if defined LOADED_SYSTEM set "LOADED=OFFLINE_SYSTEM"
if defined LOADED_SOFTWARE "%REG%" unload HKLM\OFFLINE_SOFTWARE >nul 2>nul
if defined LOADED_SOFTWARE if "%ERRORLEVEL%"=="0" set "LOADED_SOFTWARE="
if defined LOADED_SOFTWARE set "LOADED=OFFLINE_SOFTWARE"
goto :eof

:back_up_hives
set "FAULT="
set "TO=%BACKUP%"
set "H=SYSTEM"
call :copy_hive
set "H=SOFTWARE"
call :copy_hive
goto :eof

rem Copies the hive H with its logs from CFG to TO; FAULT is set where that fails.
:copy_hive
if not exist "%CFG%\%H%" set "FAULT=1"
set "SUFFIX="
call :copy_file
set "SUFFIX=.LOG"
call :copy_file
set "SUFFIX=.LOG1"
call :copy_file
set "SUFFIX=.LOG2"
call :copy_file
goto :eof
:copy_file
if not exist "%CFG%\%H%%SUFFIX%" goto :eof
copy /b "%CFG%\%H%%SUFFIX%" "%TO%\%H%%SUFFIX%" >nul 2>nul
rem Logs are hidden, and copy passes hidden files over; type does not.
if not exist "%TO%\%H%%SUFFIX%" type "%CFG%\%H%%SUFFIX%" >"%TO%\%H%%SUFFIX%" 2>nul
set "SIZE1="
set "SIZE2="
for %%F in ("%CFG%\%H%%SUFFIX%") do set "SIZE1=%%~zF"
for %%F in ("%TO%\%H%%SUFFIX%") do set "SIZE2=%%~zF"
if not "%SIZE1%"=="%SIZE2%" set "FAULT=1"
if "%SIZE2%"=="" set "FAULT=1"
goto :eof

rem SAME is 1 where the hives are, byte for byte, those the package was made from.
:compare_hives
set "SAME=1"
set "F=%CFG%\SOFTWARE"
set "WANT=85d200c2b688832d9976df2cb13f8c94fa78d454b1e953c7ef32fa09c0cb8384"
call :compare_hash
goto :eof
:compare_hash
set "HASH="
"%SystemRoot%\System32\certutil.exe" -hashfile "%F%" SHA256 >"%BACKUP%\hash.txt" 2>nul
if not "%ERRORLEVEL%"=="0" goto other_hash
for /f "usebackq skip=1 delims=" %%L in ("%BACKUP%\hash.txt") do if not defined HASH set "HASH=%%L"
if not defined HASH goto other_hash
set "HASH=%HASH: =%"
if /i "%HASH%"=="%WANT%" goto :eof
:other_hash
set "SAME=0"
goto :eof

rem The patched hives take the place of the old ones, which are in the backup
rem with their logs.
:copy_hives
set "H=SOFTWARE"
set "SOURCE=hives\SOFTWARE"
set "WANT=8902ab8d956b6b14fa649254366ad890724fc0b0078bdc211a55fc4c029e9186"
call :replace_hive
if defined FAULT goto copy_failed
goto changed
:replace_hive
copy /b "%SOURCE%" "%CFG%\%H%.hivemend" >nul 2>nul
if not exist "%CFG%\%H%.hivemend" set "FAULT=1"
set "F=%CFG%\%H%.hivemend"
if not defined FAULT call :compare_hash
if not "%SAME%"=="1" set "FAULT=1"
if defined FAULT goto :eof
set "CHANGED=1"
move /y "%CFG%\%H%.hivemend" "%CFG%\%H%" >nul 2>nul
if not "%ERRORLEVEL%"=="0" set "FAULT=1"
if exist "%CFG%\%H%.hivemend" set "FAULT=1"
if defined FAULT goto :eof
del /f /q /a "%CFG%\%H%.LOG" >nul 2>nul
del /f /q /a "%CFG%\%H%.LOG1" >nul 2>nul
del /f /q /a "%CFG%\%H%.LOG2" >nul 2>nul
if exist "%CFG%\%H%.LOG" set "FAULT=1"
if exist "%CFG%\%H%.LOG1" set "FAULT=1"
if exist "%CFG%\%H%.LOG2" set "FAULT=1"
goto :eof

:copy_failed
echo FAILED: a patched hive could not be put in place. Put the hives and logs in the backup back by hand.
goto failed
:not_here
echo FAILED: the files of the package are not beside this script, or its folder cannot be entered.
goto failed
:wrong_cmd
echo REFUSED: this is the 32-bit command processor on 64-bit Windows, which sees another registry.
goto failed
:not_admin
echo REFUSED: the registry cannot be read as an administrator, or reg.exe is missing here.
goto failed
:already_loaded
echo REFUSED: HKLM\%LEFT% is loaded already. Unload it first: reg unload HKLM\%LEFT%
goto failed
:expected_failed
echo FAILED: the values to compare with could not be loaded from expected.reg (reg.exe ended with %RC%).
goto failed
:none_matches
echo REFUSED: no volume holds the machine of this package as it was when the package was made, or as
echo the package leaves it. What was looked at is listed above.
if "%MODE%"=="undo" echo Where Windows has made a new certificate, leave it: the old one would meet a new private key.
goto failed
:several_match
echo REFUSED: %COUNT% Windows folders match (listed above). Take the disks away that are not meant.
goto failed
:hibernates
echo REFUSED: this Windows hibernates or starts fast, and would overwrite the change when it wakes.
echo Start it, shut it down fully (shutdown /s /t 0), and run this file with /full-shutdown-done
goto failed
:backup_failed
echo FAILED: the hives could not be backed up to "%CFG%" (no room, or read-only).
goto failed
:load_failed
echo FAILED: the hives could not be loaded (reg.exe ended with %RC%).
goto failed
:refused_late
echo REFUSED: a place holds other data than the package expects.
goto failed
:import_failed
echo FAILED: the change could not be made, or only in part (reg.exe ended with %RC%).
goto failed
:not_proved
echo FAILED: the change was made, but a place does not hold what is wanted.
goto failed
:unload_failed
echo FAILED: HKLM\%LOADED% could not be unloaded. Close what uses it, then: reg unload HKLM\%LOADED%
goto failed
:failed
if defined LOADED call :unload_hives
if not defined CHANGED echo Nothing was changed.
if defined CHANGED echo Run this file again with /check to see what stands now.
if defined BACKUP echo What was there before is in "%BACKUP%"
if not defined BACKUP echo No new backup was made.
if exist backup echo The keys as they were when the package was made are in "%CD%\backup"
call :clean
exit /b 2

:usage
echo Usage: apply-offline.cmd [/check ^| /undo] [/full-shutdown-done]
echo   without anything: checks, backs up, makes the change, proves it
echo   /check   looks, and changes nothing
echo   /undo    takes the change back
echo   /full-shutdown-done   the machine was shut down fully: it does not hibernate
popd
exit /b 2

rem Looks at every place that the package changes: PENDING counts those that hold
rem what was there before, DONE those that hold what is wanted, BAD the others.
:judge
set PENDING=0
set DONE=0
set BAD=0
set "N=1"
set "WHAT=HKEY_LOCAL_MACHINE\OFFLINE_SOFTWARE\Microsoft\MSLicensing"
set "K=HKLM\OFFLINE_SOFTWARE\Microsoft\MSLicensing"
call :delete_key
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
set "BACKUP=%CFG%\hivemend-f527a54e-%KIND%%NUMBER%"
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
