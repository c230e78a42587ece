/**
 * The vocabulary of the REST contract, by the names the pages use.
 *
 * `schema.gen.ts` is made from the daemon's own OpenAPI document; if a schema is renamed there,
 * this is the only file that notices.
 */
import type { components, operations } from './schema.gen';

type Schemas = components['schemas'];

export type AttendanceLesson = Schemas['AttendanceLesson'];
export type AttendanceRecord = Schemas['AttendanceRecord'];
export type AttendanceStatus = Schemas['AttendanceStatus'];
export type Bandwidth = Schemas['Bandwidth'];
export type BoxState = Schemas['BoxState'];
export type Disk = Schemas['Disk'];
export type Fragment = Schemas['Fragment'];
export type ImportPreview = Schemas['ImportPreview'];
export type ImportResult = Schemas['Imported'];
export type Language = Schemas['Language'];
export type Lesson = Schemas['Lesson'];
export type LessonEvent = Schemas['LessonEvent'];
export type LinkVerdict = Schemas['LinkVerdict'];
export type LiveEvent = Schemas['Event'];
export type LessonShowing = Schemas['LessonShowing'];
export type Machine = Schemas['Machine'];
export type MachineStream = Schemas['MachineReception'];
export type Me = Schemas['Person'];
export type OwnLesson = Schemas['OwnLesson'];
export type OwnPage = Schemas['OwnPage'];
export type Person = Schemas['LessonPerson'];
export type Problem = Schemas['Problem'];
export type PublicationKind = Schemas['PublicationKind'];
export type PublicationState = Schemas['PublicationState'];
export type RecentRecording = Schemas['RecentRecording'];
export type Recording = Schemas['Recording'];
export type Role = Schemas['Role'];
export type Room = Schemas['Room'];
/** A room as somebody plans it. */
export type RoomPlan = operations['estimate_bandwidth']['parameters']['query'];
export type SchoolClass = Schemas['Class'];
export type Seat = Schemas['Seat'];
export type SeatMode = Schemas['SeatMode'];
export type Segment = Schemas['Segment'];
export type Setting = Schemas['Setting'];
export type SignedStudent = Schemas['SignedStudent'];
export type SourceForm = Schemas['SourceForm'];
export type StreamLimits = Schemas['StreamLimits'];
export type StreamState = Schemas['StreamState'];
export type Student = Schemas['Student'];
export type StudentCode = Schemas['StudentCode'];
export type Teacher = Schemas['Teacher'];
export type Track = Schemas['Track'];
export type Video = Schemas['Video'];
