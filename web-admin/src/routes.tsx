/**
 * Every address of the pages.
 *
 * A box without an owner shows the claim and nothing else, a person without a session the log-in, a
 * student their own page; all doors are in `Gate`. All pages come with the first load: on a LAN that costs nothing, and a
 * page that was opened before the box was updated never looks for a part that is gone.
 */
import { createBrowserRouter } from 'react-router';

import { AttendancePage } from './features/attendance/AttendancePage';
import { ClassAttendanceTab } from './features/attendance/ClassAttendanceTab';
import { ClaimPage } from './features/claim/ClaimPage';
import { HomePage } from './features/lesson/HomePage';
import { LessonsPage } from './features/lesson/LessonsPage';
import { RoomPage } from './features/machines/RoomPage';
import { RoomsPage } from './features/machines/RoomsPage';
import { RecordingPage } from './features/recording/RecordingPage';
import { RecordingsPage } from './features/recording/RecordingsPage';
import { ClassesPage } from './features/roster/ClassesPage';
import { ClassPage } from './features/roster/ClassPage';
import { SeatingTab } from './features/roster/SeatingTab';
import { StudentsTab } from './features/roster/StudentsTab';
import { LoginPage } from './features/session/LoginPage';
import { SettingsPage } from './features/settings/SettingsPage';
import { TeachersPage } from './features/settings/TeachersPage';
import { JoinPage } from './features/student/JoinPage';
import { StudentPage } from './features/student/StudentPage';
import { HealthPage } from './features/system/HealthPage';
import { Gate } from './Gate';
import { LessonRoute } from './LessonRoute';
import { paths } from './lib/paths';
import { Shell } from './Shell';
import { Lost } from './ui/Lost';

const pages = [
  { path: paths.home, element: <HomePage /> },
  { path: paths.lessons, element: <LessonsPage /> },
  { path: paths.attendance(':id'), element: <AttendancePage /> },
  { path: paths.recordings, element: <RecordingsPage /> },
  { path: paths.recording(':id'), element: <RecordingPage /> },
  { path: paths.classes, element: <ClassesPage /> },
  {
    path: paths.schoolClass(':id'),
    element: <ClassPage />,
    children: [
      { index: true, element: <StudentsTab /> },
      { path: paths.seating(':id'), element: <SeatingTab /> },
      { path: paths.classAttendance(':id'), element: <ClassAttendanceTab /> },
    ],
  },
  { path: paths.rooms, element: <RoomsPage /> },
  { path: paths.room(':id'), element: <RoomPage /> },
  { path: paths.teachers, element: <TeachersPage /> },
  { path: paths.settings, element: <SettingsPage /> },
  { path: paths.health, element: <HealthPage /> },
  { path: '*', element: <Lost /> },
];

export const router = createBrowserRouter([
  {
    element: <Gate />,
    errorElement: <Lost />,
    children: [
      { path: paths.claim, element: <ClaimPage /> },
      { path: paths.login, element: <LoginPage /> },
      { path: paths.join, element: <JoinPage /> },
      { path: paths.student, element: <StudentPage /> },
      { path: paths.lesson(':id'), element: <LessonRoute />, errorElement: <Lost /> },
      // The frame stays when a page in it is lost.
      { element: <Shell />, children: [{ errorElement: <Lost />, children: pages }] },
    ],
  },
]);
